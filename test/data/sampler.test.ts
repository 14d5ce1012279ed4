import { describe, expect, it } from 'vitest';
import {
  balancedBatches,
  evaluationPasses,
  globalBatches,
  imagesOfClasses,
  rankSlice,
} from '../../src/data/sampler.js';

const sorted = (indices: Iterable<number>) => [...indices].sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('globalBatches', () => {
  it.each([
    [1437, 96],
    [100, 100],
    [100, 1000],
    [7, 1],
    [0, 5],
  ])('takes each of %i images once in batches of %i, the last one short', (count, size) => {
    const batches = globalBatches(count, size, 1, 0);
    expect(sorted(batches.flatMap((batch) => [...batch]))).toEqual(upTo(count));
    expect(batches.length).toBe(Math.ceil(count / size));
    batches.slice(0, -1).forEach((batch) => expect(batch.length).toBe(size));
  });

  it('depends only on seed and epoch', () => {
    const order = (seed: number, epoch: number, size = 10) =>
      globalBatches(100, size, seed, epoch).flatMap((batch) => [...batch]);
    expect(order(1, 2)).toEqual(order(1, 2));
    expect(order(1, 2, 7)).toEqual(order(1, 2));
    expect(order(1, 3)).not.toEqual(order(1, 2));
    expect(order(2, 2)).not.toEqual(order(1, 2));
    expect(order(1, 2)).not.toEqual(upTo(100));
  });
});

describe('balancedBatches', () => {
  // 60 images of class 0, none of class 1, 30 of class 2, 10 of class 3.
  const labels = Int32Array.from({ length: 100 }, (_, image) => (image < 60 ? 0 : image < 90 ? 2 : 3));
  const order = (seed: number, epoch: number) =>
    balancedBatches(labels, { batchSize: 8, seed, epoch }).flatMap((batch) => [...batch]);

  it('takes equally many images of every class in each batch, and repeats no image before all of its class', () => {
    const batches = balancedBatches(labels, { batchSize: 9, seed: 1, epoch: 0 });
    expect(batches.map(({ length }) => length)).toEqual([...new Array<number>(11).fill(9), 1]);
    for (const batch of batches.slice(0, -1))
      expect(
        imagesOfClasses(
          batch.map((image) => labels[image]),
          4,
        ),
      ).toEqual([3, 0, 3, 3]);
    const shown = batches.flatMap((batch) => [...batch]);
    const seen = (label: number) => shown.filter((image) => labels[image] === label);
    expect(new Set(seen(0)).size).toBe(seen(0).length);
    expect(new Set(seen(2)).size).toBe(30);
    for (let round = 0; round < 3; round++)
      expect(sorted(seen(3).slice(10 * round, 10 * round + 10))).toEqual(upTo(10).map((image) => 90 + image));
    expect(seen(3).slice(0, 10)).not.toEqual(seen(3).slice(10, 20));
  });

  it('depends only on seed and epoch', () => {
    expect(order(1, 2)).toEqual(order(1, 2));
    expect(order(1, 3)).not.toEqual(order(1, 2));
    expect(order(2, 2)).not.toEqual(order(1, 2));
  });
});

describe.each([1, 2, 3, 4])('with %i ranks', (worldSize) => {
  it.each([96, 93, 3, 1, 0])('rankSlice splits a batch of %i in order and evenly', (size) => {
    const batch = globalBatches(Math.max(size, 1), Math.max(size, 1), 1, 0)[0].subarray(0, size);
    const slices = upTo(worldSize).map((rank) => rankSlice(batch, rank, worldSize));
    expect(slices.flatMap((slice) => [...slice])).toEqual([...batch]);
    const lengths = slices.map((slice) => slice.length);
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
  });

  it.each([
    [360, 256],
    [10_000, 256],
    [361, 50],
    [2, 5],
    [0, 5],
  ])(
    'evaluationPasses takes each of %i images once, at most %i a pass, in the passes of one rank',
    (count, size) => {
      const batches = upTo(worldSize).flatMap((rank) => evaluationPasses(count, rank, worldSize, size));
      expect(batches.flatMap((batch) => [...batch])).toEqual(upTo(count));
      expect(batches).toEqual(evaluationPasses(count, 0, 1, size));
      for (const batch of batches) expect(batch.length).toBeLessThanOrEqual(size);
    },
  );
});
