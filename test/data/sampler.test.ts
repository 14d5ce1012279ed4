import { describe, expect, it } from 'vitest';
import { evaluationPasses, globalBatches, rankSlice } from '../../src/data/sampler.js';

const sorted = (indices: Iterable<number>) => [...indices].sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('globalBatches', () => {
  it.each([
    [1437, 96],
    [100, 100],
    [100, 1000],
    [7, 1],
    [0, 5],
  ])('of %i images by %i hold every image once, the last batch short', (count, size) => {
    const batches = globalBatches(count, size, 1, 0);
    expect(sorted(batches.flatMap((batch) => [...batch]))).toEqual(upTo(count));
    expect(batches.length).toBe(Math.ceil(count / size));
    batches.slice(0, -1).forEach((batch) => expect(batch.length).toBe(size));
  });

  it('depend on seed and epoch alone', () => {
    const order = (seed: number, epoch: number, size = 10) =>
      globalBatches(100, size, seed, epoch).flatMap((batch) => [...batch]);
    expect(order(1, 2)).toEqual(order(1, 2));
    expect(order(1, 2, 7)).toEqual(order(1, 2));
    expect(order(1, 3)).not.toEqual(order(1, 2));
    expect(order(2, 2)).not.toEqual(order(1, 2));
    expect(order(1, 2)).not.toEqual(upTo(100));
  });
});

describe.each([1, 2, 3, 4])('%i ranks', (worldSize) => {
  it.each([96, 93, 3, 1, 0])('share a batch of %i in order, evenly', (size) => {
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
  ])('evaluate each of %i images once, at most %i a pass, in the passes of one rank', (count, size) => {
    const batches = upTo(worldSize).flatMap((rank) => evaluationPasses(count, rank, worldSize, size));
    expect(batches.flatMap((batch) => [...batch])).toEqual(upTo(count));
    expect(batches).toEqual(evaluationPasses(count, 0, 1, size));
    for (const batch of batches) expect(batch.length).toBeLessThanOrEqual(size);
  });
});
