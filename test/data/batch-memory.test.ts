import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset, type Dataset, datasets } from '../../src/data/index.js';

const images = 12;
let root: string;
const open: Dataset[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  for (const split of ['train', 'test'])
    for (const name of ['a', 'b']) {
      mkdirSync(join(root, split, name), { recursive: true });
      for (let image = 0; image < images / 2; image++) {
        const background = { r: 20 * image, g: name === 'a' ? 0 : 200, b: 10 };
        const blank = { width: 4, height: 4, channels: 3, background } as const;
        await sharp({ create: blank })
          .png()
          .toFile(join(root, split, name, `${image}.png`));
      }
    }
});
afterAll(async () => {
  await Promise.all(open.map((dataset) => dataset.close()));
  rmSync(root, { recursive: true });
});

describe('the memory of batches', () => {
  it.each([
    ['digits', () => ({ name: 'digits' }), [64, 64, 64, 3, 64]],
    [
      'image files',
      () => ({ name: 'image-folder', root, size: 4, threads: 2, prefetch: 2, cache: { diskMegabytes: 0 } }),
      [3, 3, 0, 3, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
    ],
  ])('of %s is reused, and each batch equals the batch read alone', async (_, settings, lengths) => {
    const dataset = await openDataset(datasets.schema.parse(settings()), { seed: 2 });
    open.push(dataset);
    const total = dataset.labels.train.length;
    let next = 0;
    const batches = lengths.map((length) => Int32Array.from({ length }, () => next++ % total));
    const alone: number[][] = [];
    for (const batch of batches)
      for await (const { images } of dataset.read({ split: 'train', batches: [batch], epoch: 1 }))
        alone.push([...images]);
    const together: number[][] = [];
    const kept: Float32Array[] = [];
    for await (const { images } of dataset.read({ split: 'train', batches, epoch: 1 })) {
      kept.push(images);
      together.push([...images]);
    }
    expect(together).toEqual(alone);
    const lost = kept.filter(
      (images, at) => images.length === 0 || images.some((value, index) => value !== alone[at][index]),
    );
    expect(lost.length).toBeGreaterThanOrEqual(lengths.length / 3);
  });
});
