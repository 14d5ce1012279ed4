import { describe, expect, it } from 'vitest';
import { Rotation } from '../../src/pedcc/rotation.js';

function basis(dim: number, seed: number): Float64Array[] {
  const rotation = new Rotation(dim, seed);
  return Array.from({ length: dim }, (_, index) => {
    const vector = new Float64Array(dim);
    vector[index] = 1;
    rotation.apply(vector);
    return vector;
  });
}

describe('Rotation', () => {
  it.each([1, 2, 3, 5, 8, 64, 100, 256, 257, 300, 512, 700])('is orthogonal in %i dimensions', (dim) => {
    const columns = basis(dim, 4);
    let worst = 0;
    for (let i = 0; i < dim; i += Math.ceil(dim / 50)) {
      for (let j = 0; j < dim; j++) {
        const product = columns[i].reduce((sum, value, index) => sum + value * columns[j][index], 0);
        worst = Math.max(worst, Math.abs(product - (i === j ? 1 : 0)));
      }
    }
    expect(worst).toBeLessThan(1e-12);
  });

  it('is linear', () => {
    const dim = 300;
    const rotation = new Rotation(dim, 2);
    const [a, b] = [Math.sin, Math.cos].map((wave) =>
      Float64Array.from({ length: dim }, (_, index) => wave(index)),
    );
    const sum = a.map((value, index) => 2 * value - b[index]);
    for (const vector of [a, b, sum]) rotation.apply(vector);
    sum.forEach((value, index) => expect(value).toBeCloseTo(2 * a[index] - b[index], 12));
  });

  it.each([64, 300, 1000])('spreads every basis vector over all of %i coordinates', (dim) => {
    const columns = basis(dim, 1);
    for (const column of columns) {
      expect(Math.max(...column.map(Math.abs))).toBeLessThan(6 / Math.sqrt(dim));
      expect(column.filter((value) => value !== 0).length).toBeGreaterThan(dim / 2);
    }
  });

  it('depends on the seed', () => {
    expect(basis(10, 1)).toEqual(basis(10, 1));
    expect(basis(10, 1)).not.toEqual(basis(10, 2));
  });
});
