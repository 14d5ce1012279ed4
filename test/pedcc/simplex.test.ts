import { describe, expect, it } from 'vitest';
import { simplex } from '../../src/pedcc/simplex.js';

describe('simplex', () => {
  it.each([2, 3, 7, 40])(
    'has %i vertices of length 1 with all cosines -1/(k - 1), in double precision',
    (classes) => {
      const vertex = simplex(classes);
      const rows = Array.from({ length: classes }, (_, index) => {
        const row = new Float64Array(classes + 2).fill(9);
        vertex(index, row);
        return row;
      });
      for (const [i, left] of rows.entries()) {
        for (const [j, right] of rows.entries()) {
          const product = left.reduce((sum, value, index) => sum + value * right[index], 0);
          expect(product).toBeCloseTo(i === j ? 1 : -1 / (classes - 1), 12);
        }
      }
    },
  );

  it('has one vertex for one class', () => {
    const row = new Float64Array(3).fill(9);
    simplex(1)(0, row);
    expect([...row]).toEqual([1, 0, 0]);
  });
});
