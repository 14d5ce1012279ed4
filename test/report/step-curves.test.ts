import { describe, expect, it } from 'vitest';
import { StepCurves, ThinnedCurve } from '../../src/report/step-curves.js';

/** A curve of 0, 1, 2, ... with a spike of 1e6 at one step. */
function curve(steps: number, spike: number): ThinnedCurve {
  const made = new ThinnedCurve();
  for (let step = 0; step < steps; step++) made.add(step, step === spike ? 1e6 : step);
  return made;
}

describe('ThinnedCurve', () => {
  it.each([1, 500, 501, 1001, 10_000, 100_003])(
    'keeps the spike of a curve of %i steps in at most 1000 points',
    (steps) => {
      const spike = Math.floor(steps / 3);
      const points = curve(steps, spike).points('extremes');
      expect(points.length).toBeLessThanOrEqual(1000);
      expect(points.length).toBeGreaterThanOrEqual(Math.min(steps, 500));
      expect(points).toContainEqual([spike, 1e6]);
      expect(points[0]?.[0]).toBe(0);
      expect(points.at(-1)?.[0]).toBe(steps - 1);
      expect(points.every(([x], index) => index === 0 || x > (points[index - 1]?.[0] ?? x))).toBe(true);
    },
  );

  it('gives means of groups of equal size', () => {
    const points = curve(3000, -1).points('mean');
    expect(points).toHaveLength(375);
    expect(points[1]).toEqual([11.5, 11.5]);
  });

  it('keeps earlier points until the size of its groups doubles', () => {
    const [before, after] = [curve(1500, -1).points('extremes'), curve(1999, -1).points('extremes')];
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
  });
});

describe('StepCurves', () => {
  const step = (epoch: number, index: number) =>
    ({ kind: 'step', epoch, step: index, loss: 1, lr: 1, samplesPerSecond: 1 }) as const;

  it('perEpoch gives the steps per epoch once an epoch has ended', () => {
    const curves = new StepCurves();
    for (let index = 0; index < 3; index++) curves.add(step(0, index));
    expect(curves.perEpoch(undefined)).toBeUndefined();
    expect(curves.perEpoch(0)).toBe(3);
    curves.add(step(1, 3));
    expect(curves.perEpoch(0)).toBe(3);
  });
});
