import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findAddon } from '../../src/backend/native/cache.js';

const cli = fileURLToPath(new URL('../../dist/launcher/cli.js', import.meta.url));
const built = findAddon();
const library = built && join(dirname(built.file), 'site', 'tensorflow');

describe('pod-dist setup', () => {
  let cache: string;
  beforeEach(() => void (cache = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
  afterEach(() => rmSync(cache, { recursive: true }));

  const setup = (...args: string[]) =>
    promisify(execFile)(process.execPath, [cli, 'setup', '--json', ...args], {
      env: { ...process.env, POD_DIST_CACHE: cache },
      timeout: 110_000,
    });

  it.runIf(library && existsSync(library))(
    'builds against a library that is here already, once',
    async () => {
      const { stdout } = await setup('--library', library as string);
      expect(JSON.parse(stdout)).toMatchObject({ cached: false, tensorflow: 'installed', gpu: false });
      const again = await setup();
      expect(JSON.parse(again.stdout)).toMatchObject({ cached: true, tensorflow: 'installed' });
    },
    120_000,
  );

  it('says what is missing, and leaves nothing that looks finished', async () => {
    const failure = await setup('--library', cache).catch(
      (error: unknown) => error as { code: number; stderr: string },
    );
    expect(failure).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`no libtensorflow with its headers in ${cache}`),
    });
    expect(readdirSync(join(cache, 'native'))).toEqual([]);
  });
});
