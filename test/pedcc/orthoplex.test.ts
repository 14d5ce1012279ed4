import { describe, expect, it } from 'vitest';
import { orthoplexVertex } from '../../src/pedcc/orthoplex.js';

describe('orthoplexVertex', () => {
  it('gives the basis vectors, then their negatives', () => {
    const row = new Float64Array(3).fill(9);
    const rows = Array.from({ length: 6 }, (_, index) => {
      orthoplexVertex(index, row);
      return [...row];
    });
    expect(rows).toEqual([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
      [-1, 0, 0],
      [0, -1, 0],
      [0, 0, -1],
    ]);
  });
});
