import { describe, expect, it } from 'vitest';
import { checkPlan } from '../../../src/job/member/plan.js';

const hosts = ['a', 'a', 'b'];
const plan = { hosts, rank: 1, worldSize: 3 };
const start = { at: 6, generation: 0, root: 0, holders: [0, 2] };

describe('checkPlan', () => {
  it('accepts a plan for the own rank, and any rank in an elastic job', () => {
    expect(() => checkPlan(plan, { rank: 1, worldSize: 3 })).not.toThrow();
    expect(() =>
      checkPlan({ ...plan, start }, { rank: undefined, worldSize: 4, elastic: true }),
    ).not.toThrow();
  });

  it.each([
    ['another rank', plan, { rank: 2, worldSize: 3 }],
    ['another number of ranks', plan, { rank: 1, worldSize: 4 }],
    ['a rank outside the job', { ...plan, rank: 3 }, { rank: 1, worldSize: 3, elastic: true }],
    ['too few hosts', { ...plan, hosts: ['a', 'b'] }, { rank: 1, worldSize: 3 }],
    [
      'weights from a rank outside the job',
      { ...plan, start: { ...start, root: 3 } },
      { rank: 1, worldSize: 3 },
    ],
    [
      'a piece from a rank outside the job',
      { ...plan, start: { ...start, holders: [3] } },
      { rank: 1, worldSize: 3 },
    ],
  ])('rejects a plan with %s', (_name, given, own) => {
    expect(() => checkPlan(given, own)).toThrow(expect.objectContaining({ code: 'PROTOCOL_ERROR' }));
  });
});
