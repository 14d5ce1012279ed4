import { describe, expect, it } from 'vitest';
import { learningRate } from '../../src/training/schedule.js';

describe('learningRate', () => {
  it('keeps a constant rate', () => {
    expect(learningRate({ schedule: 'constant', rate: 0.3 }, { epoch: 7, step: 70, totalSteps: 100 })).toBe(
      0.3,
    );
  });

  it('multiplies by the factor at each boundary', () => {
    const config = { schedule: 'step', rate: 1, epochs: [2, 4], factor: 0.1 } as const;
    const rates = [0, 1, 2, 3, 4, 5].map((epoch) =>
      learningRate({ ...config, epochs: [...config.epochs] }, { epoch, step: epoch, totalSteps: 6 }),
    );
    expect(rates).toEqual([1, 1, 0.1, 0.1, expect.closeTo(0.01, 12), expect.closeTo(0.01, 12)]);
  });

  // Values of torch.optim.lr_scheduler.OneCycleLR(max_lr=0.2, total_steps=20, pct_start=0.25), PyTorch 2.
  it('follows PyTorch in one-cycle', () => {
    const config = {
      schedule: 'one-cycle',
      rate: 0.2,
      warmup: 0.25,
      startDivisor: 25,
      endDivisor: 10_000,
    } as const;
    const at = (step: number) => learningRate(config, { epoch: 0, step, totalSteps: 20 });
    expect(at(0)).toBeCloseTo(0.008, 9);
    expect(at(2)).toBeCloseTo(0.104, 9);
    expect(at(4)).toBeCloseTo(0.2, 9);
    expect(at(12)).toBeCloseTo(0.0895476, 6);
    expect(at(19)).toBeCloseTo(8e-7, 9);
  });
});
