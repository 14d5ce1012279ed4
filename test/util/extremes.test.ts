import { describe, expect, it } from 'vitest';
import { largest, smallest } from '../../src/util/extremes.js';

describe('largest and smallest', () => {
  it('take a million values', () => {
    const values = Float64Array.from({ length: 1e6 }, (_, index) =>
      index === 777_777 ? 5 : Math.sin(index),
    );
    expect(largest(values)).toBe(5);
    expect(smallest(values.map((value) => -value))).toBe(-5);
  });

  it('give infinities for no values, and NaN for values with NaN', () => {
    expect([largest([]), smallest(new Set<number>())]).toEqual([-Infinity, Infinity]);
    expect([largest([1, NaN, 2]), smallest([1, NaN, 2])]).toEqual([NaN, NaN]);
  });
});
