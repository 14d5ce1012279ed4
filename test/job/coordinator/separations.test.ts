import { describe, expect, it } from 'vitest';
import type { Member } from '../../../src/job/coordinator/roster.js';
import { Separations } from '../../../src/job/coordinator/separations.js';

const members = [10, 11, 12, 13, 14].map((worker) => ({ worker }) as Member);
const left = (separations: Separations, now = 0) =>
  separations.together(members, now).map(({ worker }) => worker);

describe('Separations', () => {
  it('leaves out the worker that most others do not reach, the last one on a tie', () => {
    const separations = new Separations();
    expect(left(separations)).toEqual([10, 11, 12, 13, 14]);
    separations.add(10, [11], 0);
    expect(left(separations)).toEqual([10, 12, 13, 14]);
    separations.add(10, [12, 13], 0);
    expect(left(separations)).toEqual([11, 12, 13, 14]);
  });

  it('keeps the larger of two groups that do not reach each other', () => {
    const separations = new Separations();
    for (const worker of [10, 11]) separations.add(worker, [12, 13, 14], 0);
    expect(left(separations)).toEqual([12, 13, 14]);
  });

  it('brings separated workers together again after a time that grows', () => {
    const separations = new Separations();
    separations.add(13, [14], 0);
    expect(left(separations, 59_000)).toEqual([10, 11, 12, 13]);
    expect(left(separations, 61_000)).toEqual([10, 11, 12, 13, 14]);
    separations.add(13, [14], 61_000);
    expect(left(separations, 180_000)).toEqual([10, 11, 12, 13]);
    expect(left(separations, 182_000)).toEqual([10, 11, 12, 13, 14]);
  });
});
