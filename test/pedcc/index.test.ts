import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/util/errors.js';
import { cosineBound, generateCentroids, welchBound } from '../../src/pedcc/index.js';
import { measureCosines } from '../../src/pedcc/measure.js';

function longestRow(values: Float32Array, dim: number): number {
  let worst = 0;
  for (let start = 0; start < values.length; start += dim) {
    const squares = values.subarray(start, start + dim).reduce((sum, value) => sum + value * value, 0);
    worst = Math.max(worst, Math.abs(Math.sqrt(squares) - 1));
  }
  return worst;
}

describe('generateCentroids', () => {
  it.each([
    [2, 1],
    [2, 2],
    [3, 2],
    [10, 9],
    [10, 256],
    [100, 512],
    [257, 256],
    [300, 301],
    [1000, 1024],
    [2000, 2048],
  ])('makes a regular simplex of %i classes in %i dimensions', (classes, dim) => {
    const { values, maxCosine, construction } = generateCentroids({ classes, dim, seed: 3 });
    const wanted = -1 / (classes - 1);
    expect(construction).toBe('simplex');
    expect(maxCosine).toBe(wanted);
    expect(longestRow(values, dim)).toBeLessThan(1e-6);
    const measured = measureCosines(values, classes, dim, 3e8);
    expect(Math.abs(measured.maxCosine - wanted)).toBeLessThan(1e-6);
    expect(Math.abs(measured.minCosine - wanted)).toBeLessThan(1e-6);
  });

  it.each([
    [4, 2],
    [12, 10],
    [20, 10],
    [300, 200],
  ])('makes an orthoplex of %i classes in %i dimensions', (classes, dim) => {
    const { values, maxCosine, construction } = generateCentroids({ classes, dim, seed: 3 });
    expect(construction).toBe('orthoplex');
    expect(maxCosine).toBe(0);
    expect(longestRow(values, dim)).toBeLessThan(1e-6);
    const measured = measureCosines(values, classes, dim);
    expect(Math.abs(measured.maxCosine)).toBeLessThan(1e-6);
    expect(measured.minCosine).toBeCloseTo(-1, 6);
  });

  it('makes a packing for more than 2 d classes, and returns its largest cosine', () => {
    const [classes, dim] = [50, 12];
    const { values, maxCosine, construction } = generateCentroids({ classes, dim, seed: 3 });
    expect(construction).toBe('packing');
    expect(longestRow(values, dim)).toBeLessThan(1e-6);
    expect(measureCosines(values, classes, dim).maxCosine).toBeCloseTo(maxCosine, 5);
  });

  it('gives a single class one unit vector', () => {
    const { values, maxCosine } = generateCentroids({ classes: 1, dim: 5, seed: 3 });
    expect(longestRow(values, 5)).toBeLessThan(1e-6);
    expect(maxCosine).toBe(-1);
  });

  it.each([
    [10, 64],
    [40, 32],
    [50, 12],
  ])('gives equal bits for equal options, and others for another seed (%i, %i)', (classes, dim) => {
    const make = (seed: number) => generateCentroids({ classes, dim, seed }).values;
    expect(make(5)).toEqual(make(5));
    expect(make(5)).not.toEqual(make(6));
  });

  it('reports rising progress up to 1', () => {
    for (const [classes, dim] of [
      [500, 500],
      [60, 8],
    ]) {
      const shares: number[] = [];
      generateCentroids({ classes, dim, seed: 1, onProgress: (share) => shares.push(share) });
      expect(shares.length).toBeGreaterThan(3);
      expect(shares).toEqual(shares.toSorted((a, b) => a - b));
      expect(shares[shares.length - 1]).toBe(1);
    }
  });

  it.each([
    [{ classes: 0 }, /^classes is 0: /],
    [{ classes: 2.5 }, /^classes is 2\.5: /],
    [{ dim: -1 }, /^dim is -1: /],
    [{ dim: NaN }, /^dim is NaN: /],
    [{ seed: -1 }, /^seed is -1: /],
  ])('rejects %j', (options, message) => {
    const make = () => generateCentroids({ classes: 3, dim: 4, seed: 0, ...options });
    expect(make).toThrow(UserError);
    expect(make).toThrow(message);
  });
});

describe('cosineBound', () => {
  it('equals the cosines of simplex and orthoplex', () => {
    expect(cosineBound(1, 4)).toBe(-1);
    expect(cosineBound(5, 4)).toBe(-1 / 4);
    expect(cosineBound(6, 4)).toBe(0);
    expect(cosineBound(8, 4)).toBe(0);
  });

  it('is reached by the sharp spherical codes', () => {
    expect(cosineBound(5, 2)).toBeCloseTo(Math.cos((2 * Math.PI) / 5), 12); // regular pentagon
    expect(cosineBound(12, 3)).toBeLessThanOrEqual(1 / Math.sqrt(5)); // icosahedron
    expect(cosineBound(27, 6)).toBeCloseTo(1 / 4, 12); // Schlaefli configuration
    expect(cosineBound(275, 22)).toBeCloseTo(1 / 6, 12); // McLaughlin configuration
  });

  it('rises with the number of classes', () => {
    const bounds = Array.from({ length: 200 }, (_, index) => cosineBound(17 + index, 8));
    expect(bounds).toEqual(bounds.toSorted((a, b) => a - b));
  });
});

describe('welchBound', () => {
  it('equals the cosine of an equiangular tight frame', () => {
    expect(welchBound(6, 3)).toBeCloseTo(1 / Math.sqrt(5), 12);
    expect(welchBound(3, 3)).toBe(0);
  });
});
