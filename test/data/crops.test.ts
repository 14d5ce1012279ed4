import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeImage } from '../../src/data/decode.js';
import { openDataset, datasets } from '../../src/data/index.js';
import { standardRules as rules } from './rules.js';
import { randomRegion } from '../../src/data/random-region.js';
import { randomStream } from '../../src/util/random.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes an image whose red is 4 times the column and whose green is 4 times the row. */
async function writeRamp(file: string, width: number, height: number): Promise<void> {
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) pixels.set([4 * x, 4 * y, 7], (y * width + x) * 3);
  }
  await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(file);
}

describe('randomRegion', () => {
  it('draws regions inside the image with areas from 8 to 100 % and ratios from 3:4 to 4:3', () => {
    const random = randomStream(5);
    let smallest = Infinity;
    let largest = 0;
    for (let draw = 0; draw < 2000; draw++) {
      const { left, top, width, height } = randomRegion(200, 150, random);
      expect(Math.min(left, top, 200 - left - width, 150 - top - height)).toBeGreaterThanOrEqual(0);
      const ratio = width / height;
      expect(ratio).toBeGreaterThan(0.74);
      expect(ratio).toBeLessThan(1.35);
      smallest = Math.min(smallest, (width * height) / 30_000);
      largest = Math.max(largest, (width * height) / 30_000);
    }
    expect(smallest).toBeGreaterThan(0.078);
    expect(smallest).toBeLessThan(0.1);
    expect(largest).toBeGreaterThan(0.95);
  });

  it('takes the centre of an image that is too wide for these ratios', () => {
    const regions = Array.from({ length: 50 }, (_, seed) => randomRegion(2000, 10, randomStream(seed)));
    expect(regions).toContainEqual({ left: 993, top: 0, width: 13, height: 10 });
  });
});

describe('crops of image folders', () => {
  const image = () => join(folder, 'train', 'a', 'wide.png');
  beforeAll(async () => {
    for (const name of ['train/a', 'train/b', 'test/a', 'test/b']) {
      mkdirSync(join(folder, name), { recursive: true });
      await writeRamp(join(folder, name, 'wide.png'), 48, 32);
    }
  });

  it('are cut from the centre after the shorter side is resized', async () => {
    const pixels = await decodeImage(image(), { size: 24, channels: 3, resize: 32, rules });
    expect([...pixels.subarray(0, 3)]).toEqual([48, 16, 7]);
    expect([...pixels.subarray(-3)]).toEqual([4 * 35, 4 * 27, 7]);
    const half = await decodeImage(image(), { size: 16, channels: 3, resize: 16, rules });
    expect(half[0]).toBeGreaterThan(4 * 7);
    expect(half[0]).toBeLessThan(4 * 10);
  });

  it('depend on (seed, epoch, image), not on the thread, and are not drawn for test images', async () => {
    const config = datasets.schema.parse({
      name: 'image-folder',
      root: folder,
      size: 24,
      resize: 32,
      augment: { randomResizedCrop: true },
      cache: { diskMegabytes: 0 },
    });
    const read = async (threads: number, split: 'train' | 'test', epoch: number, order: number[]) => {
      const dataset = await openDataset(config, { seed: 3, threads });
      const batches = order.map((index) => Int32Array.of(index));
      const images: Float32Array[] = [];
      for await (const batch of dataset.read({ split, batches, epoch })) images.push(batch.images.slice());
      await dataset.close();
      return images;
    };
    const [first, second] = await read(1, 'train', 0, [0, 1]);
    const [again, before] = await read(2, 'train', 0, [1, 0]);
    expect(again).toEqual(second);
    expect(before).toEqual(first);
    expect(second).not.toEqual(first);
    expect((await read(1, 'train', 1, [0]))[0]).not.toEqual(first);
    const [centre] = await read(1, 'test', 4, [0]);
    expect(Math.round(centre[0] * 255)).toBe(48);
  });

  it('are rejected for data.resize below data.size, and together with cropPadding', async () => {
    const open = (settings: object) =>
      openDataset(
        datasets.schema.parse({
          name: 'image-folder',
          root: folder,
          size: 24,
          cache: { diskMegabytes: 0 },
          ...settings,
        }),
        {
          seed: 1,
        },
      );
    await expect(open({ resize: 20 })).rejects.toThrow(/data.resize is 20, too small/);
    const both = { augment: { randomResizedCrop: true, cropPadding: 4 } };
    await expect(open(both)).rejects.toThrow(/choose one of the two crops/);
  });
});
