import { describe, expect, it } from 'vitest';
import {
  areaUnderRoc,
  averagePrecision,
  falsePositives,
  histogram,
  mean,
} from '../../src/evaluation/statistics.js';

describe('histogram', () => {
  it('counts a value on an edge in the upper bin, and values outside in the outermost bins', () => {
    expect(histogram([0, 0.49, 0.5, 1, 7, -3], 0, 1, 2)).toEqual({ from: 0, to: 1, counts: [3, 3] });
  });
});

describe('areaUnderRoc', () => {
  it('is the share of pairs in order, with ties as half', () => {
    const [positive, negative] = [
      [3, 1, 2, 2],
      [0, 2, 1],
    ];
    const pairs = positive.flatMap((p) => negative.map((n) => (p > n ? 1 : p === n ? 0.5 : 0)));
    expect(areaUnderRoc(positive, negative)).toBeCloseTo(mean(pairs) as number, 12);
    expect(areaUnderRoc([2, 3], [0, 1])).toBe(1);
    expect(areaUnderRoc([1, 1], [1])).toBe(0.5);
  });

  it('is null without positive or negative values', () =>
    expect([areaUnderRoc([], [1]), areaUnderRoc([1], [])]).toEqual([null, null]));
});

describe('falsePositives', () => {
  it('is the share of negative values at or above the threshold that accepts the given share of positive ones', () => {
    const positive = Array.from({ length: 100 }, (_, index) => index);
    // 95 of 100 are at least 5.
    expect(falsePositives(positive, [4, 5, 6, -1], 0.95)).toBe(0.5);
    expect(falsePositives(positive, [-1, -2], 1)).toBe(0);
    expect(falsePositives([], [1], 0.95)).toBeNull();
  });
});

describe('averagePrecision', () => {
  it('is the mean precision at the positive values', () => {
    expect(averagePrecision([5, 3, 2], [4, 1])).toBeCloseTo((1 + 2 / 3 + 3 / 4) / 3, 12);
    // A threshold accepts equal values together.
    expect(averagePrecision([2, 1], [2])).toBeCloseTo((1 / 2 + 2 / 3) / 2, 12);
    expect(averagePrecision([1], [])).toBeNull();
  });
});
