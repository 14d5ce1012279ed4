import { describe, expect, it } from 'vitest';
import type { Batch, BatchRequest, Dataset } from '../../src/data/dataset.js';
import { openDigits, parseDigits } from '../../src/data/digits.js';
import { standardRules } from './rules.js';
import { UserError } from '../../src/util/errors.js';

const plain = {
  name: 'digits',
  splitSeed: 0,
  holdOut: 0,
  augment: { cropPadding: 0, flip: false, cutout: 0 },
  ...standardRules,
} as const;

async function collect(dataset: Dataset, request: BatchRequest): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of dataset.read(request)) batches.push(batch);
  return batches;
}

async function everyImage(dataset: Dataset, split: 'train' | 'test'): Promise<string[]> {
  const indices = Int32Array.from(dataset.labels[split].keys());
  const [{ images, labels }] = await collect(dataset, { split, batches: [indices], epoch: 0 });
  return Array.from(labels, (label, row) => `${images.subarray(row * 64, (row + 1) * 64).join()}:${label}`);
}

const counts = (labels: Int32Array) =>
  Array.from({ length: 10 }, (_, label) => labels.filter((value) => value === label).length);

describe('openDigits', () => {
  it('splits 1,797 images into 1,437 and 360, each once', async () => {
    const dataset = await openDigits(plain, 1);
    expect(dataset.shape).toEqual([8, 8, 1]);
    expect(dataset.classNames).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    const [train, test] = [await everyImage(dataset, 'train'), await everyImage(dataset, 'test')];
    expect([train.length, test.length]).toEqual([1437, 360]);
    // All 1,797 images of the set are different.
    expect(new Set([...train, ...test]).size).toBe(1797);
  });

  it('takes the same share of each class as test images, to within one image', async () => {
    const { labels } = await openDigits(plain, 1);
    const test = counts(labels.test);
    counts(labels.train).forEach((train, label) => {
      const share = ((train + test[label]) * 360) / 1797;
      expect(Math.abs(test[label] - share)).toBeLessThan(1);
    });
    expect(test).toEqual([36, 37, 35, 37, 36, 36, 36, 36, 35, 36]);
  });

  it('splits by splitSeed alone', async () => {
    const first = await openDigits(plain, 1);
    const again = await openDigits(plain, 99);
    const other = await openDigits({ ...plain, splitSeed: 1 }, 1);
    expect(await everyImage(again, 'test')).toEqual(await everyImage(first, 'test'));
    expect(await again.fingerprint()).toBe(await first.fingerprint());
    expect(await everyImage(other, 'test')).not.toEqual(await everyImage(first, 'test'));
    expect(await other.fingerprint()).not.toBe(await first.fingerprint());
  });

  it('scales grey levels to 0..1 and normalises on request', async () => {
    const request = { split: 'test', batches: [Int32Array.of(5)], epoch: 0 } as const;
    const [raw] = await collect(await openDigits(plain, 1), request);
    expect(Math.max(...raw.images)).toBe(1);
    expect(raw.images.every((value) => Number.isInteger(16 * value) && value >= 0)).toBe(true);
    const normalize = { mean: [0.25], std: [0.5] };
    const [normal] = await collect(await openDigits({ ...plain, normalize }, 1), request);
    expect(normal.images).toEqual(raw.images.map((value) => (value - 0.25) / 0.5));
  });

  it('reads batches in order, including empty ones, and augments only training images', async () => {
    const dataset = await openDigits({ ...plain, augment: { cropPadding: 1, flip: false, cutout: 0 } }, 1);
    const batches = [Int32Array.of(3, 1), Int32Array.of(), Int32Array.of(2)];
    const read = (split: 'train' | 'test', epoch: number) => collect(dataset, { split, batches, epoch });
    const train = await read('train', 0);
    expect(train.map(({ count, images }) => [count, images.length])).toEqual([
      [2, 128],
      [0, 0],
      [1, 64],
    ]);
    expect([...train[0].labels]).toEqual([dataset.labels.train[3], dataset.labels.train[1]]);
    expect(await read('train', 0)).toEqual(train);
    expect(await read('train', 1)).not.toEqual(train);
    expect(await read('test', 1)).toEqual(await read('test', 0));
  });

  it('rejects means whose number is not the number of channels', async () => {
    const normalize = { mean: [0, 0, 0], std: [1] };
    await expect(openDigits({ ...plain, normalize }, 1)).rejects.toThrow(
      'data.normalize.mean has 3 values, images have 1 channel',
    );
  });
});

describe('parseDigits', () => {
  const line = (label: string, level = '16') => [...new Array<string>(63).fill('0'), level, label].join();

  it('reads levels and labels', () => {
    const { pixels, labels } = parseDigits(`${line('3')}\n${line('9', '7')}\n`, 'x.csv');
    expect([...labels]).toEqual([3, 9]);
    expect([pixels[63], pixels[127], pixels.length]).toEqual([16, 7, 128]);
  });

  it.each([
    [line('10'), /^x\.csv, line 2: label 10 is no class: classes are 0 to 9$/],
    [line('-1'), /^x\.csv, line 2: label -1 /],
    [line('a'), /^x\.csv, line 2: label NaN /],
    [line('1.5'), /^x\.csv, line 2: label 1\.5 /],
    [line('1', '17'), /^x\.csv, line 2: 17 is no grey level: they are 0 to 16$/],
    ['1,2,3', /^x\.csv, line 2: 2 grey levels and a label, not 64$/],
  ])('rejects levels and labels out of range with file and line', (wrong, message) => {
    const parse = () => parseDigits(`${line('3')}\n${wrong}\n`, 'x.csv');
    expect(parse).toThrow(UserError);
    expect(parse).toThrow(message);
  });
});
