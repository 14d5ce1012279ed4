import { describe, expect, it } from 'vitest';
import { planBuckets, planGathers, shardOf } from '../../src/parallel/buckets.js';

describe('planBuckets', () => {
  const slots = (...sizes: number[]) => {
    let offset = 0;
    return sizes.map((size, index) => {
      offset += size;
      return { name: `p${index}`, shape: [size], offset: offset - size, size };
    });
  };

  const sizes = (cut: { start: number; end: number }[]) => cut.map(({ start, end }) => end - start);

  it('splits only large parameters, and covers every parameter once', () => {
    const cut = planBuckets(slots(300_000, 500_000, 400_000, 5_000_000, 700_000), { bucketBytes: 4_000_000 });
    expect(cut.slice(1).map(({ start }) => start)).toEqual(cut.slice(0, -1).map(({ end }) => end));
    expect(sizes(cut)).toEqual([300, 500, 400, 1000, 1000, 1000, 1000, 1000, 700].map((size) => 1000 * size));
  });

  it('makes the first buckets smaller, and adds small parameters to a neighbouring bucket', () => {
    const cut = planBuckets(slots(...Array.from({ length: 40 }, () => 100_000)), { bucketBytes: 4_000_000 });
    expect(sizes(cut).slice(0, 4)).toEqual([100_000, 200_000, 500_000, 1_000_000]);
    const uneven = slots(900_000, 10_000, 3_000_000, 10_000, 900_000);
    expect(sizes(planBuckets(uneven, { bucketBytes: 4_000_000 }))).toEqual([
      900_000, 1_010_000, 1_000_000, 1_000_000, 910_000,
    ]);
  });

  it('chooses the number of buckets by the size of the model without bucketBytes', () => {
    const layers = (size: number) => slots(...Array.from({ length: 64 }, () => size / 64));
    expect(planBuckets(layers(100_000)).length).toBeGreaterThanOrEqual(4);
    expect(planBuckets(layers(275_000)).length).toBeGreaterThanOrEqual(8);
    expect(planBuckets(layers(11_000_000)).length).toBeGreaterThanOrEqual(16);
    for (const length of [4000, 275_000, 11_000_000, 200_000_000])
      expect(planBuckets(layers(length)).length).toBeLessThan(50);
  });

  it('makes equally large buckets without overlap', () => {
    const layers = slots(...Array.from({ length: 100 }, () => 100_000));
    expect(sizes(planBuckets(layers, { overlap: false }))).toEqual(new Array(10).fill(1_000_000));
    expect(planBuckets(layers.slice(0, 10), { overlap: false })).toEqual([{ start: 0, end: 1_000_000 }]);
  });

  it('makes fewer than 50 buckets for any bucketBytes', () => {
    const cut = planBuckets(slots(...Array.from({ length: 500 }, () => 1000)), { bucketBytes: 4 });
    expect(cut.length).toBeLessThan(50);
    expect(cut.at(-1)?.end).toBe(500_000);
  });
});

describe('planGathers', () => {
  const buckets = (...sizes: number[]) => {
    let end = 0;
    return sizes.map((size) => ({ start: end, end: (end += size) }));
  };

  it('gathers a quarter of the values early, last buckets first, and the rest in the order of the forward pass', () => {
    expect(planGathers(buckets(1, 2, 4, 4, 4, 4, 4, 4, 4))).toEqual([
      [0, 1, 2, 3, 4, 5, 6, 7],
      ...[[], [], [], [], [8], [], [], []],
    ]);
    expect(planGathers(buckets(5))).toEqual([[0]]);
  });

  it('gathers every bucket once, after its reduction', () => {
    for (const count of [1, 2, 3, 8, 40]) {
      const order = planGathers(
        buckets(...Array.from({ length: count }, (_, index) => 1 + ((7 * index) % 5))),
      );
      order.forEach((gathers, reduced) =>
        gathers.forEach((one) => expect(one).toBeGreaterThanOrEqual(reduced)),
      );
      expect(order.flat().sort((a, b) => a - b)).toEqual([...Array(count).keys()]);
    }
  });
});

describe('shardOf', () => {
  it.each([1, 2, 3, 7])(
    'cuts a bucket into consecutive shards of nearly equal size for %i ranks',
    (worldSize) => {
      const bucket = { start: 11, end: 21 };
      const shards = Array.from({ length: worldSize }, (_, rank) => shardOf(bucket, { rank, worldSize }));
      expect(shards.map(({ start }) => start)).toEqual([11, ...shards.slice(0, -1).map(({ end }) => end)]);
      expect(shards.at(-1)?.end).toBe(21);
      const sizes = shards.map(({ start, end }) => end - start);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    },
  );
});
