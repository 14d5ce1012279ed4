import { z } from 'zod';
import { mostEpochs, upTo } from '../util/bounds.js';

/** Numbers of an epoch in `metrics.jsonl` that epochs are compared by, and which of them is better. */
const better = { evalAccuracy: 'larger', meanCosine: 'larger', trainLoss: 'smaller' } as const;

export type EpochMetric = keyof typeof better;
export const epochMetrics = Object.keys(better) as [EpochMetric, ...EpochMetric[]];

/** An epoch's numbers by their names. */
export type EpochMetrics = Readonly<Record<EpochMetric, number>>;

/** By how much one value is better than another; negative where it is worse. */
export function gainOf(metric: EpochMetric, value: number, other: number): number {
  return better[metric] === 'larger' ? value - other : other - value;
}

/** When a run ends before its last epoch. */
export const stopSchema = z.strictObject({
  metric: z
    .enum(epochMetrics)
    .default('evalAccuracy')
    .describe('what an epoch is judged by, as in metrics.jsonl: the smallest trainLoss, else the largest'),
  patience: upTo(mostEpochs)
    .optional()
    .describe(
      'epochs in a row that are not better, after which the run ends; default: all epochs are trained',
    ),
  minDelta: z.number().min(0).default(0).describe('an epoch is better by more than this'),
});
