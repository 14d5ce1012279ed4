import { describe, expect, it } from 'vitest';
import { Liveness } from '../../../src/job/coordinator/liveness.js';

const beat = (progress: number, waiting = false) => ({ progress, waiting, phase: 'train of epoch 1' });

describe('Liveness', () => {
  it('reports a stall and its phase if no beats come', () => {
    const liveness = new Liveness({ stallTimeoutMs: 1000, phaseTimeoutMs: 5000 }, 0);
    liveness.beat(beat(1), 500);
    expect(liveness.stalled(1500)).toBeUndefined();
    expect(liveness.stalled(1501)).toBe(
      'stalled: no sign of life for 1.0 s in the phase "train of epoch 1" (distributed.stallTimeoutSeconds: 1)',
    );
  });

  it('reports a stall if beats come without progress', () => {
    const liveness = new Liveness({ stallTimeoutMs: 1000, phaseTimeoutMs: 5000 }, 0);
    for (let now = 100; now <= 1100; now += 100) liveness.beat(beat(7), now);
    expect(liveness.stalled(1100)).toBeUndefined();
    liveness.beat(beat(7), 1200);
    expect(liveness.stalled(1200)).toBe(
      'stalled: no progress for 1.1 s in the phase "train of epoch 1" (distributed.stallTimeoutSeconds: 1)',
    );
  });

  it('reports no stall while the rank progresses or waits for others', () => {
    const liveness = new Liveness({ stallTimeoutMs: 1000, phaseTimeoutMs: 5000 }, 0);
    for (let now = 500; now <= 5000; now += 500) liveness.beat(beat(now), now);
    expect(liveness.stalled(5000)).toBeUndefined();
    for (let now = 5500; now <= 10_000; now += 500) liveness.beat(beat(5000, true), now);
    expect(liveness.stalled(10_000)).toBeUndefined();
    expect(liveness.stalled(11_001)).toMatch(/no sign of life/);
  });

  it('waits for phaseTimeoutMs in a lengthy phase', () => {
    const liveness = new Liveness({ stallTimeoutMs: 1000, phaseTimeoutMs: 5000 }, 0);
    const saving = { progress: 7, waiting: false, phase: 'save the checkpoint', lengthy: true };
    for (let now = 500; now <= 5500; now += 500) liveness.beat(saving, now);
    expect(liveness.stalled(5500)).toBeUndefined();
    liveness.beat(saving, 6000);
    expect(liveness.stalled(6000)).toBe(
      'stalled: no progress for 5.5 s in the phase "save the checkpoint" (distributed.phaseTimeoutSeconds: 5)',
    );
    expect(liveness.stalled(7001)).toMatch(/no sign of life .* \(distributed\.stallTimeoutSeconds: 1\)/);
    liveness.beat({ ...saving, progress: 8, lengthy: false }, 7100);
    liveness.beat({ ...saving, progress: 8, lengthy: false }, 8000);
    liveness.beat({ ...saving, progress: 8, lengthy: false }, 8101);
    expect(liveness.stalled(8101)).toMatch(/no progress .* \(distributed\.stallTimeoutSeconds: 1\)/);
  });

  it('counts from restart()', () => {
    const liveness = new Liveness({ stallTimeoutMs: 1000, phaseTimeoutMs: 5000 }, 0);
    liveness.restart(5000);
    expect(liveness.stalled(6000)).toBeUndefined();
    expect(liveness.stalled(6001)).toMatch(/no sign of life for 1\.0 s in the phase "start"/);
  });
});
