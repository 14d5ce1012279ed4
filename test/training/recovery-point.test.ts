import { describe, expect, it } from 'vitest';
import { momentOf, recoveryPoint, stepsOf, type Held } from '../../src/training/recovery-point.js';

const held = (at: number, rank: number, worldSize = 4, generation = 0): Held => ({
  at,
  rank,
  worldSize,
  generation,
  copy: true,
});

describe('recoveryPoint', () => {
  it('is the newest snapshot that every rank holds', () => {
    const group = [0, 1, 2, 3].map((rank) => [held(9, rank), held(7, rank)]);
    expect(recoveryPoint(group)).toEqual({ at: 9, generation: 0, root: 0, holders: [0, 1, 2, 3] });
  });

  it('takes the piece of a lost rank from the next rank', () => {
    const group = [[held(9, 0)], [], [held(9, 2)], [held(9, 3)]];
    expect(recoveryPoint(group)).toMatchObject({ at: 9, holders: [0, 2, 2, 3] });
    expect(recoveryPoint([[], [held(9, 1)], [held(9, 2)], [held(9, 0)]])).toMatchObject({
      holders: [3, 1, 2, 3],
    });
  });

  it('is an older snapshot if a piece of the newest is lost', () => {
    const group = [[held(9, 0), held(7, 0)], [], [held(7, 2)], [held(7, 3)]];
    expect(recoveryPoint(group)).toMatchObject({ at: 7, holders: [0, 2, 2, 3] });
  });

  it('orders the last step of an epoch, its end and its evaluation', () => {
    const end = { lossSum: 0, steps: 0 };
    const moments = [
      momentOf({ ...end, epochs: 2, steps: 9 }, 10),
      momentOf({ ...end, epochs: 2, steps: 10 }, 10),
      momentOf({ ...end, epochs: 3, unevaluated: { trainLoss: 1, seconds: 1 } }, 10),
      momentOf({ ...end, epochs: 3 }, 10),
      momentOf({ ...end, epochs: 3, steps: 1 }, 10),
    ];
    expect(moments).toEqual([...new Set(moments)].toSorted((a, b) => a - b));
    expect(moments.map((at) => stepsOf({ at }))).toEqual([29, 30, 30, 30, 31]);
  });

  it('takes no piece of a lost rank from a copy that has not arrived', () => {
    const late = [
      [held(9, 0), held(7, 0)],
      [],
      [{ ...held(9, 2), copy: false }, held(7, 2)],
      [held(9, 3), held(7, 3)],
    ];
    expect(recoveryPoint(late)).toMatchObject({ at: 7, holders: [0, 2, 2, 3] });
    expect(recoveryPoint([[held(9, 0)], [{ ...held(9, 1), copy: false }]])).toBeUndefined();
  });

  it('is undefined if a rank and the next rank are both lost', () => {
    expect(recoveryPoint([[held(9, 0)], [], [], [held(9, 3)]])).toBeUndefined();
    expect(recoveryPoint([[], []])).toBeUndefined();
  });

  it('uses snapshots of one generation only', () => {
    const group = [[held(9, 0, 2, 1)], [held(9, 2), held(9, 1, 2, 1)], [held(9, 3)]];
    expect(recoveryPoint(group)).toEqual({ at: 9, generation: 1, root: 0, holders: [0, 1] });
  });
});
