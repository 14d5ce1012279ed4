import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listPacks } from '../../../src/data/pixels/pack-folder.js';
import { randomStream } from '../../../src/util/random.js';
import { writeImage } from '../images.js';

const script = fileURLToPath(new URL('../../../dist/test/data/pixels/fixtures/read.js', import.meta.url));
const images = 240;

interface Seen {
  images: string;
  origins: { decoded: number; disk: number; memory: number };
}

describe('processes that share a pixel cache', () => {
  const root = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  afterAll(() => rmSync(root, { recursive: true }));
  beforeAll(async () => {
    for (const name of ['a', 'b']) mkdirSync(join(root, 'data', 'train', name), { recursive: true });
    for (const name of ['a', 'b']) await writeImage(join(root, 'data', 'test', name, '0.png'), [1, 2, 3]);
    const random = randomStream(3);
    for (let image = 0; image < images; image++) {
      const noise = Uint8Array.from({ length: 64 * 64 * 3 }, () => random.below(256));
      const raw = { width: 64, height: 64, channels: 3 } as const;
      await sharp(noise, { raw })
        .jpeg()
        .toFile(join(root, 'data', 'train', image % 2 === 0 ? 'a' : 'b', `${image}.jpg`));
    }
  });

  function start(seed: number, cache: object) {
    const data = { name: 'image-folder', root: join(root, 'data'), size: 64, threads: 2, cache };
    return spawn(process.execPath, [script, JSON.stringify(data), String(seed)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async function read(seed: number, cache: object): Promise<Seen> {
    const child = start(seed, cache);
    const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect(errors).toBe('reading\n');
    return JSON.parse(out) as Seen;
  }

  it('read the same images as without a cache, and decode none in a later run', async () => {
    const cache = { folder: join(root, 'together') };
    const plain = await read(1, { diskMegabytes: 0, memoryMegabytes: 0 });
    expect(plain.origins).toEqual({ decoded: images, disk: 0, memory: 0 });
    const together = await Promise.all([2, 3, 4].map((seed) => read(seed, cache)));
    for (const seen of together) expect(seen.images).toBe(plain.images);
    const later = await read(5, cache);
    expect(later).toEqual({ images: plain.images, origins: { decoded: 0, disk: images, memory: 0 } });
  });

  it('leave a valid cache when they are killed while they write', async () => {
    const folder = join(root, 'killed');
    const plain = await read(1, { diskMegabytes: 0 });
    const killed = [6, 7].map(async (seed) => {
      const child = start(seed, { folder });
      await once(child.stderr, 'data');
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    await Promise.all(killed);
    const [{ bytes, key }] = await listPacks(folder);
    expect(bytes).toBeGreaterThan(0);
    const next = await read(8, { folder });
    expect(next.images).toBe(plain.images);
    expect(next.origins.disk).toBeGreaterThan(0);
    expect(next.origins.disk + next.origins.decoded).toBe(images);
    expect((await read(9, { folder })).origins.decoded).toBe(0);
    expect(statSync(join(folder, `${key}.pixels`)).size).toBe(images * (32 + 64 * 64 * 3));
  });
});
