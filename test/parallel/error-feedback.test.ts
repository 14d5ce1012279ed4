import { describe, expect, it } from 'vitest';
import { run } from '../collective/ranks.js';

interface Result {
  /** By element, the sum over all steps of what was applied beyond the exact sums. */
  applied: number[];
  residual: number[];
}

const length = 2003;

async function feedback(worldSize: number, given?: readonly number[]): Promise<Result> {
  const options = { worldSize, transport: 'ipc', scenario: 'feedback' } as const;
  const outcomes = await run({ ...options, length, given });
  for (const { error } of outcomes.map((outcome) => outcome ?? {})) expect(error).toBeUndefined();
  const results = outcomes.map((outcome) => outcome?.result as Result);
  for (const { residual } of results) expect(residual).toEqual(results[0].residual);
  const applied = results[0].applied.map((_, at) => results.reduce((sum, own) => sum + own.applied[at], 0));
  return { applied, residual: results[0].residual };
}

const total = (values: readonly number[]) => values.reduce((sum, value) => sum + Math.abs(value), 0);

describe('ErrorFeedback', () => {
  it('keeps the rounding errors of an epoch in its residual, and passes all of it on to another number of ranks', async () => {
    const two = await feedback(2);
    expect(total(two.residual)).toBeGreaterThan(0.1);
    two.applied.forEach((missing, at) => expect(missing + two.residual[at]).toBeCloseTo(0, 5));

    const three = await feedback(3, two.residual);
    three.applied.forEach((missing, at) =>
      expect(missing + three.residual[at]).toBeCloseTo(two.residual[at], 5),
    );
  });
});
