import { describe, expect, it } from 'vitest';
import { Budget } from '../../../src/job/coordinator/budget.js';
import { formGroup } from '../../../src/job/coordinator/reform.js';
import type { Member } from '../../../src/job/coordinator/roster.js';

function member(worker: number, rank: number | undefined, snapshots = rank === undefined ? 0 : 1): Member {
  const ready = Array.from({ length: snapshots }, () => ({
    at: 3,
    generation: 0,
    rank: rank ?? 0,
    worldSize: 4,
    copy: true,
  }));
  return { worker, rank, ready, home: { leads: true } } as unknown as Member;
}

const workersOf = (members: readonly Member[], sizes: readonly number[]) =>
  formGroup(members, sizes)?.group.map(({ worker }) => worker);

describe('formGroup', () => {
  it('gives a spare the rank of the lost member, and keeps the other ranks', () => {
    expect(workersOf([member(0, 0), member(2, 2), member(3, 3), member(4, undefined)], [4])).toEqual([
      0, 4, 2, 3,
    ]);
  });

  it('gives undefined if there are too few members', () => {
    expect(workersOf([member(0, 0), member(2, 2), member(3, 3)], [4])).toBeUndefined();
  });

  it('takes the largest permitted size, and members with snapshots first', () => {
    expect(workersOf([member(9, undefined), member(2, 2), member(3, 3)], [1, 2])).toEqual([2, 3]);
    expect(workersOf([member(3, 3), member(0, 0), member(1, 1)], [1, 2, 4])).toEqual([3, 1]);
  });

  it('leaves out members whose pieces the others have copies of', () => {
    const formation = formGroup(
      [0, 1, 2, 3].map((rank) => member(rank, rank)),
      [2],
    );
    expect(formation).toMatchObject({
      group: [{ worker: 0 }, { worker: 2 }],
      start: { holders: [0, 1, 1, 0] },
    });
  });

  it('starts from no snapshot after the last recorded step', () => {
    const all = [0, 1, 2, 3].map((rank) => member(rank, rank));
    expect(formGroup(all, [4], 1)?.start).toMatchObject({ at: 3 });
    expect(formGroup(all, [4], 0)?.start).toBeUndefined();
  });

  it('gives reserved ranks to their workers, and rank 0 to a worker with the run folder', () => {
    const at = (worker: number, rank: number, leads: boolean) => ({
      ...member(worker, undefined),
      home: { rank, leads },
    });
    const others = [member(1, 1)];
    expect(workersOf([...others, at(6, 2, false), at(4, 0, true)], [3])).toEqual([4, 1, 6]);
    expect(workersOf([...others, at(6, 2, false)], [2])).toBeUndefined();
  });

  it('starts without a snapshot if none is complete', () => {
    expect(formGroup([member(7, undefined), member(8, undefined)], [2])).toMatchObject({ start: undefined });
  });
});

describe('Budget', () => {
  it('is used up by many faults in a short time, and refills with time', () => {
    const budget = new Budget(2, { faultsPerWorkerHour: 2 }, 0);
    expect([0, 1, 2, 3].map((now) => budget.take(now))).toEqual([true, true, true, true]);
    expect(budget.take(4)).toBe(false);
    expect(budget.take(3_600_000)).toBe(true);
  });
});
