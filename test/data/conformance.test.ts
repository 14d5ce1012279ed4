import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DataConfig } from '../../src/config/schema.js';
import type { Dataset, SplitName } from '../../src/data/dataset.js';
import { datasets, openDataset } from '../../src/data/index.js';
import { levelOf, writeFolder } from './images.js';
import { writeShards } from './shards/shards.js';
import { pixelAt, writeCifar10, writeCifar100, writeMnist, writeTinyImageNet } from './samples.js';

const splits = ['train', 'test'] as const;

/** Writes the files of a data set, and says what they contain. */
interface Sample {
  write(root: string): void | Promise<void>;
  settings?: object;
  shape: [height: number, width: number, channels: number];
  labels: Record<SplitName, number[]>;
  /** Value of a pixel, 0 to 255, of the image `index` of a split; without it pixels are not compared. */
  pixel?(split: SplitName, index: number, y: number, x: number, channel: number): number;
  /** Largest error of a pixel, for compressed images. */
  tolerance?: number;
}

const mnist: Sample = {
  write: writeMnist,
  shape: [4, 5, 1],
  labels: { train: [5, 0, 4], test: [7, 2] },
  pixel: (split, index, y, x) => pixelAt(index + (split === 'test' ? 3 : 0), x, y, 0),
};

const samples: Record<string, Sample> = {
  mnist,
  'fashion-mnist': mnist,
  cifar10: {
    write: writeCifar10,
    shape: [32, 32, 3],
    labels: { train: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], test: [9, 8, 7] },
    pixel: (split, index, y, x, channel) => pixelAt(index + (split === 'test' ? 100 : 0), x, y, channel),
  },
  cifar100: {
    write: writeCifar100,
    shape: [32, 32, 3],
    labels: { train: [99, 3, 42, 0], test: [7, 8] },
    pixel: (_split, index, y, x, channel) => pixelAt(index, x, y, channel),
  },
  'tiny-imagenet': {
    write: writeTinyImageNet,
    settings: { cache: { diskMegabytes: 0 } },
    shape: [64, 64, 3],
    labels: { train: [0, 0, 1, 1], test: [1, 0] },
    tolerance: 3,
    pixel: (split, index, _y, _x, channel) => {
      if (split === 'test') return [index === 0 ? 1 : 250, 2, 3][channel];
      return index === 1 ? 128 : [200 * Math.floor(index / 2), 100 * (index % 2), 50][channel];
    },
  },
  'image-folder': {
    write: (root) => writeFolder(root, ['cat', 'dog'], 3),
    settings: { size: 8, cache: { diskMegabytes: 0 } },
    shape: [8, 8, 3],
    labels: { train: [0, 0, 0, 1, 1, 1], test: [0, 0, 0, 1, 1, 1] },
    tolerance: 3,
    pixel: (split, index) => levelOf(split, index),
  },
  webdataset: {
    write: async (root) => {
      await writeFolder(join(root, 'images'), ['cat', 'dog'], 3);
      await writeShards(root, join(root, 'images'));
    },
    settings: { size: 8, cache: { diskMegabytes: 0 } },
    shape: [8, 8, 3],
    labels: { train: [0, 0, 0, 1, 1, 1], test: [0, 0, 0, 1, 1, 1] },
    tolerance: 3,
    pixel: (split, index) => levelOf(split, index),
  },
};

/** The embedded data set has no files to write; the counts are its publisher's. */
const digits = { shape: [8, 8, 1], counts: { train: 1437, test: 360 } };

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const open = (config: object) =>
  openDataset(datasets.schema.parse(config) as DataConfig, { seed: 1, threads: 1 });

/** Pixels and label of every image of the batches, in order. */
async function imagesOf(dataset: Dataset, split: SplitName, batches: Int32Array[]) {
  const images: { pixels: Float32Array; label: number }[] = [];
  let read = 0;
  for await (const batch of dataset.read({ split, batches, epoch: 0 })) {
    const size = batch.images.length / Math.max(batch.count, 1);
    expect(batch.count).toBe(batches[read++].length);
    for (let row = 0; row < batch.count; row++)
      images.push({
        pixels: batch.images.slice(row * size, (row + 1) * size),
        label: batch.labels[row],
      });
  }
  expect(read).toBe(batches.length);
  return images;
}

it('the conformance suite covers every data set', () => {
  expect(datasets.names.toSorted()).toEqual(['digits', ...Object.keys(samples)].toSorted());
});

describe.each([...datasets.names])('the data set %s', (name) => {
  const sample = samples[name] as Sample | undefined;
  const root = join(folder, name);
  const config = { name, ...(sample && { root, ...sample.settings }) };
  let dataset: Dataset;
  beforeAll(async () => {
    await sample?.write(root);
    dataset = await open(config);
  });
  afterAll(() => dataset.close());

  const all = (split: SplitName) => Int32Array.from(dataset.labels[split].keys());

  it('has the images, classes and shape of its files', () => {
    expect(dataset.shape).toEqual(sample?.shape ?? digits.shape);
    for (const split of splits) {
      if (sample) expect([...dataset.labels[split]]).toEqual(sample.labels[split]);
      else expect(dataset.labels[split]).toHaveLength(digits.counts[split]);
      const classes = dataset.classNames.length;
      expect(dataset.labels[split].every((label) => label >= 0 && label < classes)).toBe(true);
    }
    expect(new Set(dataset.classNames).size).toBe(dataset.classNames.length);
  });

  it.each(splits)('reads the pixels and labels of its %s files', async (split) => {
    const [height, width, channels] = dataset.shape;
    const images = await imagesOf(dataset, split, [all(split)]);
    expect(images.map(({ label }) => label)).toEqual([...dataset.labels[split]]);
    images.forEach(({ pixels }, index) => {
      expect(pixels).toHaveLength(height * width * channels);
      expect(pixels.every((value) => value >= 0 && value <= 1)).toBe(true);
      if (!sample?.pixel) return;
      let worst = 0;
      pixels.forEach((value, at) => {
        const [y, x] = [Math.floor(at / (width * channels)), Math.floor(at / channels) % width];
        const wanted = sample.pixel?.(split, index, y, x, at % channels) as number;
        worst = Math.max(worst, Math.abs(255 * value - wanted));
      });
      expect(worst, `image ${index}`).toBeLessThan((sample.tolerance ?? 0) + 0.01);
    });
  });

  it.each(splits)('reads the same %s images in any batches, including empty ones', async (split) => {
    const whole = await imagesOf(dataset, split, [all(split)]);
    const order = all(split).reverse();
    const cut = Math.ceil(order.length / 3);
    const batches = [order.slice(0, cut), Int32Array.of(), order.slice(cut, 2 * cut), order.slice(2 * cut)];
    expect((await imagesOf(dataset, split, batches)).reverse()).toEqual(whole);
  });

  it('has the same images and fingerprint when it is opened again', async () => {
    const again = await open(config);
    try {
      expect(await again.fingerprint()).toBe(await dataset.fingerprint());
      expect(await imagesOf(again, 'test', [all('test')])).toEqual(
        await imagesOf(dataset, 'test', [all('test')]),
      );
    } finally {
      await again.close();
    }
  });

  it('can be closed twice', async () => {
    const other = await open(config);
    await other.close();
    await other.close();
  });

  if (sample)
    it('rejects a missing folder with its path', async () => {
      const nowhere = join(folder, 'nowhere');
      await expect(open({ ...config, root: nowhere })).rejects.toMatchObject({
        name: 'UserError',
        message: expect.stringContaining(nowhere),
      });
    });
});
