import type { LearningRateConfig } from '../config/schema.js';

/** Where a step stands in the run; all counts from 0. */
export interface Position {
  epoch: number;
  /** Step over the whole run. */
  step: number;
  totalSteps: number;
}

/**
 * The learning rate of one step.
 *
 * `one-cycle` (arXiv 1708.07120, with PyTorch's cosine form and end points): from rate/startDivisor up to rate over
 * the first `warmup` share of the steps, then down to rate/startDivisor/endDivisor at the last step.
 */
export function learningRate(config: LearningRateConfig, { epoch, step, totalSteps }: Position): number {
  switch (config.schedule) {
    case 'constant':
      return config.rate;
    case 'step':
      return config.rate * config.factor ** config.epochs.filter((boundary) => epoch >= boundary).length;
    case 'one-cycle': {
      const start = config.rate / config.startDivisor;
      const end = start / config.endDivisor;
      const peak = Math.max(config.warmup * totalSteps - 1, 0);
      const last = Math.max(totalSteps - 1, 1);
      return step <= peak && peak > 0
        ? cosineBetween(start, config.rate, step / peak)
        : cosineBetween(config.rate, end, (step - peak) / Math.max(last - peak, 1));
    }
  }
}

function cosineBetween(from: number, to: number, share: number): number {
  return to + ((from - to) * (1 + Math.cos(Math.PI * Math.min(share, 1)))) / 2;
}
