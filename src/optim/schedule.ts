import type { LearningRateConfig } from './schedule-schema.js';

/** Where a step stands in the run; all counts from 0. */
export interface Position {
  epoch: number;
  /** Step over the whole run. */
  step: number;
  totalSteps: number;
  stepsPerEpoch: number;
  /** Worker processes, for rates that are scaled with them. */
  workers: number;
}

/**
 * The learning rate of one step.
 *
 *     step       multiplied by `factor` at each of `epochs`
 *     cosine     half a cosine from rate to finalRate over the steps after warm-up (arXiv 1608.03983, no restarts)
 *     one-cycle  (arXiv 1708.07120, with PyTorch's cosine form and end points) from rate/startDivisor up to rate over
 *                the first `warmup` share of the steps, then down to rate/startDivisor/endDivisor at the last step
 *
 * Warm-up multiplies by (step + 1) / n in its n steps, and `scaleWithWorkers` by the number of workers (arXiv
 * 1706.02677).
 */
export function learningRate(config: LearningRateConfig, position: Position): number {
  return config.rate * shape(config, position) * (config.scaleWithWorkers ? position.workers : 1);
}

/** The rate in units of `config.rate`. */
function shape(config: LearningRateConfig, { epoch, step, totalSteps, stepsPerEpoch }: Position): number {
  if (config.schedule === 'one-cycle') return oneCycle(config, step, totalSteps);
  const warmupSteps = Math.round(config.warmupEpochs * stepsPerEpoch);
  const warm = step < warmupSteps ? (step + 1) / warmupSteps : 1;
  switch (config.schedule) {
    case 'constant':
      return warm;
    case 'step':
      return warm * config.factor ** config.epochs.filter((boundary) => epoch >= boundary).length;
    case 'cosine': {
      const share = Math.max(step - warmupSteps, 0) / Math.max(totalSteps - warmupSteps, 1);
      return warm * cosineBetween(1, config.finalRate / config.rate, share);
    }
  }
}

function oneCycle(
  { startDivisor, endDivisor, warmup }: Extract<LearningRateConfig, { schedule: 'one-cycle' }>,
  step: number,
  totalSteps: number,
): number {
  const start = 1 / startDivisor;
  const end = start / endDivisor;
  const peak = Math.max(warmup * totalSteps - 1, 0);
  const last = Math.max(totalSteps - 1, 1);
  return step <= peak && peak > 0
    ? cosineBetween(start, 1, step / peak)
    : cosineBetween(1, end, (step - peak) / Math.max(last - peak, 1));
}

function cosineBetween(from: number, to: number, share: number): number {
  return to + ((from - to) * (1 + Math.cos(Math.PI * Math.min(share, 1)))) / 2;
}
