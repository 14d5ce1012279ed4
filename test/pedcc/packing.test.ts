import { describe, expect, it } from 'vitest';
import { cosineBound } from '../../src/pedcc/index.js';
import { measureCosines } from '../../src/pedcc/measure.js';
import { packing } from '../../src/pedcc/packing.js';

/** Largest cosines of the best known spherical codes: polygons, and Sloane's tables of packings in three dimensions. */
const best: [classes: number, dim: number, cosine: number, tolerance: number][] = [
  [5, 2, Math.cos((2 * Math.PI) / 5), 1e-3],
  [9, 2, Math.cos((2 * Math.PI) / 9), 1e-3],
  [7, 3, Math.cos((77.8695 / 180) * Math.PI), 0.02],
  [12, 3, 1 / Math.sqrt(5), 0.02],
  [27, 6, 1 / 4, 0.03],
];

describe('packing', () => {
  it.each(best)(
    'of %i vectors in %i dimensions is near the best known one',
    (classes, dim, cosine, tolerance) => {
      const { values, maxCosine } = packing(classes, dim, 1);
      const { maxCosine: measured } = measureCosines(values, classes, dim);
      expect(measured).toBeCloseTo(maxCosine, 5);
      expect(measured).toBeGreaterThan(cosine - 1e-4);
      expect(measured).toBeLessThan(cosine + tolerance);
    },
  );

  // Four hundred steps of plain gradient descent reached 0.210 and 0.151.
  it.each([
    [30, 8, 0.21],
    [200, 32, 0.151],
  ])('of %i vectors in %i dimensions stays above the bound and below %f', (classes, dim, limit) => {
    const { maxCosine } = packing(classes, dim, 1);
    expect(maxCosine).toBeGreaterThan(cosineBound(classes, dim));
    expect(maxCosine).toBeLessThan(limit);
  });

  it('works in dimensions that are not multiples of four', () => {
    for (const dim of [5, 6, 7]) {
      const { values, maxCosine } = packing(40, dim, 2);
      const measured = measureCosines(values, 40, dim);
      expect(measured.maxCosine).toBeCloseTo(maxCosine, 5);
      expect(measured.maxCosine).toBeLessThan(0.8);
    }
  });

  it('repeats directions for three vectors in dimension 1', () => {
    const { values, maxCosine } = packing(3, 1, 1);
    expect([...values].map(Math.abs)).toEqual([1, 1, 1]);
    expect(maxCosine).toBe(1);
  });

  it('depends only on (classes, dim, seed)', () => {
    expect(packing(60, 10, 4)).toEqual(packing(60, 10, 4));
    expect(packing(60, 10, 4).values).not.toEqual(packing(60, 10, 5).values);
  });
});
