import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const built = (path: string) => fileURLToPath(new URL(`../../dist/src/${path}`, import.meta.url));

it('decodeImage says what to install if sharp is missing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  try {
    for (const part of ['data', 's3', 'util']) cpSync(built(part), join(folder, part), { recursive: true });
    const image = fileURLToPath(new URL('./fixtures/f-upright.png', import.meta.url));
    cpSync(image, join(folder, 'a.png'));
    const program = `
      const { decodeImage } = await import('./data/decode.js');
      await decodeImage('a.png', { size: 4, channels: 3 }).catch(({ name, code, message }) => console.log([name, code, message].join(' ')));`;
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(said).toMatch(
      /^UserError DECODER_MISSING images cannot be decoded, [^\n]*: npm install --include=optional sharp\n$/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
