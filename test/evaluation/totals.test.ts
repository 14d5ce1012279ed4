import { describe, expect, it } from 'vitest';
import { addTotals, emptyTotals, perClassAccuracy } from '../../src/evaluation/totals.js';

describe('addTotals', () => {
  it('adds the counts of all ranks', () => {
    const first = {
      ...emptyTotals(2),
      total: 3,
      correct: 2,
      classTotal: [2, 1],
      classCorrect: [1, 1],
      confusion: [1, 1, 0, 0, 1, 0],
      cosineSum: 1.5,
    };
    const second = {
      ...emptyTotals(2),
      total: 1,
      correct: 0,
      classTotal: [0, 1],
      confusion: [0, 0, 0, 0, 0, 1],
      cosineSum: 0.25,
    };
    expect(addTotals([first, second])).toEqual({
      total: 4,
      correct: 2,
      classTotal: [2, 2],
      classCorrect: [1, 1],
      confusion: [1, 1, 0, 0, 1, 1],
      cosineSum: 1.75,
    });
  });

  it('rejects parts with different numbers of classes', () => {
    expect(() => addTotals([emptyTotals(2), emptyTotals(3)])).toThrow(
      'rank 0 evaluated 2 classes, rank 1 3 classes',
    );
  });
});

describe('perClassAccuracy', () => {
  it('is 0 for a class without images', () => {
    expect(perClassAccuracy({ ...emptyTotals(2), classTotal: [4, 0], classCorrect: [3, 0] })).toEqual([
      0.75, 0,
    ]);
  });
});
