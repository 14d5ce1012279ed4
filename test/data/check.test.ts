import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { checkDataset } from '../../src/data/check.js';
import { writeImage } from './images.js';
import { encodePng } from './png.js';

const root = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(root, { recursive: true }));

async function folder(name: string): Promise<string> {
  for (const place of ['train/a', 'train/b', 'test/a', 'test/b'])
    await writeImage(join(root, name, place, '1.png'), [1, 2, 3]);
  return join(root, name);
}

describe('checkDataset', () => {
  it('lists every fault of the layout, and counts the images that can be read', async () => {
    const data = await folder('faults');
    await writeImage(join(data, 'train/c/1.png'), [1, 2, 3]);
    await writeImage(join(data, 'test/d/1.png'), [1, 2, 3]);
    writeFileSync(join(data, 'train/a/notes.txt'), '');
    writeFileSync(join(data, 'test/a/2.png'), 'no image');
    mkdirSync(join(data, 'train/e'));
    const { broken, splits } = await checkDataset(data);
    const problems = broken.map(({ problem }) => problem.replaceAll(`${data}/`, ''));
    expect(problems).toEqual([
      expect.stringMatching(/^test\/c is missing/),
      expect.stringMatching(/^test\/d: there is no class d/),
      expect.stringMatching(/^test\/e is missing/),
      expect.stringMatching(/^train\/a\/notes.txt is no \.jpg/),
      expect.stringMatching(/^train\/e holds no \.jpg/),
      expect.stringMatching(/^test\/a\/2.png is no image that can be read \(it is something else/),
    ]);
    expect([splits.train.images, splits.test.images]).toEqual([3, 2]);
  });

  it('counts image sizes after orientation, and animated images', async () => {
    const data = await folder('kinds');
    const wide = sharp({ create: { width: 20, height: 10, channels: 3, background: '#123456' } });
    await wide.withMetadata({ orientation: 6 }).jpeg().toFile(join(data, 'train/a/turned.jpg'));
    const raw = new Uint8Array(8 * 16 * 3).fill(255, 0, 8 * 8 * 3);
    await sharp(raw, { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } })
      .webp({ loop: 0, delay: [100, 100] })
      .toFile(join(data, 'train/b/moves.webp'));
    const dot = { width: 1, height: 1, type: 'rgb', values: [1, 2, 3] } as const;
    writeFileSync(join(data, 'train/b/moves.png'), encodePng({ ...dot, frames: 2 }));
    writeFileSync(join(data, 'train/b/stands.png'), encodePng(dot));
    const { splits, warnings } = await checkDataset(data);
    expect(splits.train.sizes).toMatchObject({ '10x20x3': 1 });
    expect(warnings).toEqual(['2 images are animated: their first frames are used']);
    const stored = await checkDataset(data, { rules: { orientation: 'ignore' } });
    expect(stored.splits.train.sizes).toMatchObject({ '20x10x3': 1 });
  });

  it('reports files without permission to read', async () => {
    const data = await folder('locked');
    chmodSync(join(data, 'train/a/1.png'), 0);
    chmodSync(root, 0o755);
    const program = `
      const { checkDataset } = await import(process.argv[1]);
      if (process.getuid() === 0) process.setuid(65534);
      console.log((await checkDataset(process.argv[2])).broken.map(({ problem }) => problem).join());`;
    expect(await run(program, data)).toMatch(/1.png is no image .*\(permission denied\)/);
  });

  it('takes little memory for small files with many pixels, and rejects images over maxMegapixels', async () => {
    const data = await folder('bombs');
    const side = { width: 7000, height: 7000 };
    const bomb = join(data, 'train/a/2.png');
    await sharp({ create: { ...side, channels: 4, background: '#ffffff80' } })
      .png()
      .toFile(bomb);
    for (let copy = 3; copy < 5; copy++) copyFileSync(bomb, join(data, `train/a/${copy}.png`));
    const program = `
      const { checkDataset } = await import(process.argv[1]);
      await checkDataset(process.argv[2]);
      const before = process.resourceUsage().maxRSS;
      console.log(JSON.stringify({ mb: before / 1000 }));`;
    const { mb } = JSON.parse(await run(program, data)) as { mb: number };
    expect(mb).toBeLessThan(450);
    const { broken } = await checkDataset(data, { rules: { maxMegapixels: 40 } });
    expect(broken).toHaveLength(3);
    expect(broken[0].problem).toMatch(/it has more than 40 megapixels/);
  });
});

async function run(program: string, data: string): Promise<string> {
  const check = new URL('../../dist/src/data/check.js', import.meta.url).href;
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...['--input-type=module', '-e', program, check, data],
  ]);
  return stdout;
}
