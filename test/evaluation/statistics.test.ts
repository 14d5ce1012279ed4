import { describe, expect, it } from 'vitest';
import { areaUnderRoc, histogram, mean } from '../../src/evaluation/statistics.js';

describe('histogram', () => {
  it('counts a value on an edge upwards, and what lies outside in the outermost bins', () => {
    expect(histogram([0, 0.49, 0.5, 1, 7, -3], 0, 1, 2)).toEqual({ from: 0, to: 1, counts: [3, 3] });
  });
});

describe('areaUnderRoc', () => {
  it('is the share of pairs in order, ties counting half', () => {
    const [positive, negative] = [
      [3, 1, 2, 2],
      [0, 2, 1],
    ];
    const pairs = positive.flatMap((p) => negative.map((n) => (p > n ? 1 : p === n ? 0.5 : 0)));
    expect(areaUnderRoc(positive, negative)).toBeCloseTo(mean(pairs) as number, 12);
    expect(areaUnderRoc([2, 3], [0, 1])).toBe(1);
    expect(areaUnderRoc([1, 1], [1])).toBe(0.5);
  });

  it('is unknown without both', () =>
    expect([areaUnderRoc([], [1]), areaUnderRoc([1], [])]).toEqual([null, null]));
});
