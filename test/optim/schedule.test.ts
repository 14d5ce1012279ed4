import { describe, expect, it } from 'vitest';
import { scheduleSchema } from '../../src/config/schema.js';
import { learningRate, type Position } from '../../src/optim/schedule.js';

/** Rate of a recipe at every step of a run of `epochs` epochs of `stepsPerEpoch` steps. */
function rates(recipe: object, epochs: number, stepsPerEpoch: number, workers = 1): number[] {
  const config = scheduleSchema.parse(recipe);
  return Array.from({ length: epochs * stepsPerEpoch }, (_, step) => {
    const position: Position = {
      epoch: Math.floor(step / stepsPerEpoch),
      step,
      totalSteps: epochs * stepsPerEpoch,
      stepsPerEpoch,
      workers,
    };
    return learningRate(config, position);
  });
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toEqual(expected.map((value) => expect.closeTo(value, 9) as number));
}

describe('learningRate', () => {
  it('is constant with schedule constant', () => {
    expect(rates({ schedule: 'constant', rate: 0.3 }, 2, 2)).toEqual([0.3, 0.3, 0.3, 0.3]);
  });

  it('is multiplied by factor at each boundary with schedule step', () => {
    expectClose(
      rates({ schedule: 'step', rate: 1, epochs: [2, 4], factor: 0.1 }, 6, 1),
      [1, 1, 0.1, 0.1, 0.01, 0.01],
    );
  });

  // Values of torch.optim.lr_scheduler.OneCycleLR(max_lr=0.2, total_steps=20, pct_start=0.25), PyTorch 2.
  it('follows OneCycleLR of PyTorch with schedule one-cycle', () => {
    const all = rates({ schedule: 'one-cycle', rate: 0.2, warmup: 0.25 }, 1, 20);
    expect(all[0]).toBeCloseTo(0.008, 9);
    expect(all[2]).toBeCloseTo(0.104, 9);
    expect(all[4]).toBeCloseTo(0.2, 9);
    expect(all[12]).toBeCloseTo(0.0895476, 6);
    expect(all[19]).toBeCloseTo(8e-7, 9);
  });

  // Half a cosine from 1 to 0.2 over four steps: 0.6 + 0.4 cos(pi step / 4).
  it('falls along half a cosine to finalRate with schedule cosine', () => {
    const side = 0.4 * Math.SQRT1_2;
    expectClose(rates({ schedule: 'cosine', rate: 1, finalRate: 0.2 }, 2, 2), [
      1,
      0.6 + side,
      0.6,
      0.6 - side,
    ]);
  });

  it('rises linearly in warmupEpochs; step counts these epochs, cosine does not', () => {
    const warm = { warmupEpochs: 0.5, rate: 0.4 };
    expectClose(rates({ schedule: 'constant', ...warm }, 1, 8), [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4]);
    expectClose(
      rates({ schedule: 'step', rate: 1, epochs: [1], warmupEpochs: 1 }, 2, 4),
      [0.25, 0.5, 0.75, 1, 0.1, 0.1, 0.1, 0.1],
    );
    const cosine = rates({ schedule: 'cosine', rate: 1, warmupEpochs: 1 }, 2, 4);
    expectClose(cosine.slice(0, 4), [0.25, 0.5, 0.75, 1]);
    expectClose(cosine.slice(4), rates({ schedule: 'cosine', rate: 1 }, 1, 4));
  });

  it('grows with the number of workers only with scaleWithWorkers', () => {
    const recipe = { schedule: 'step', rate: 0.1, epochs: [1] };
    expectClose(rates(recipe, 2, 1, 4), [0.1, 0.01]);
    expectClose(rates({ ...recipe, scaleWithWorkers: true }, 2, 1, 4), [0.4, 0.04]);
  });
});
