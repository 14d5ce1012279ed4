import { describe, expect, it } from 'vitest';
import { Standing } from '../../../src/job/member/standing.js';

const held = [{ at: 6, generation: 0, rank: 1, worldSize: 2, copy: true }];

function inPlace(): Standing {
  const standing = new Standing();
  standing.take({ rank: 1, worldSize: 2, generation: 0 });
  standing.settle();
  standing.enter();
  return standing;
}

describe('Standing', () => {
  it("is ready for the coordinator's next generation with the snapshots that it holds", () => {
    const standing = inPlace();
    const { place } = standing;
    expect([standing.away, standing.leaving, place && standing.isIn(place)]).toEqual([false, false, true]);
    standing.reform(1);
    expect(place && standing.isIn(place)).toBe(false);
    standing.left(held);
    expect(standing.ready).toEqual({ type: 'ready', generation: 1, held });
  });

  it('waits for a new coordinator after a loss, and keeps its last rank and generation for it', () => {
    const standing = inPlace();
    standing.orphan();
    standing.left(held);
    expect([standing.orphaned, standing.rejoined, standing.leaving]).toEqual([true, true, true]);
    expect(standing.last).toEqual({ rank: 1, generation: 0 });
    standing.reform(2);
    expect(standing.orphaned).toBe(false);
    expect(standing.ready).toMatchObject({ generation: 2 });
  });

  it('ignores lost connections until it has settled in its next place', () => {
    const standing = inPlace();
    standing.reform(1);
    standing.left([]);
    standing.take({ rank: 0, worldSize: 1, generation: 1 });
    expect(standing.leaving).toBe(true);
    standing.settle();
    expect([standing.leaving, standing.last]).toEqual([false, { rank: 0, generation: 1 }]);
  });
});
