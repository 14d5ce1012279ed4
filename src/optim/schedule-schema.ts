import { z } from 'zod';
import { mostEpochs, probability, upTo } from '../util/bounds.js';

const rate = z.number().positive().max(1e6).describe('the first rate after warm-up');
const scaleWithWorkers = z
  .boolean()
  .default(false)
  .describe('multiply the rate by the number of workers, for a batchSize that grows with them');
const warmupEpochs = z
  .number()
  .min(0)
  .max(mostEpochs)
  .default(0)
  .describe('epochs, whole or not, in which the rate first climbs from near 0 in equal steps');

export const scheduleSchema = z
  .discriminatedUnion('schedule', [
    z.strictObject({ schedule: z.literal('constant'), rate, warmupEpochs, scaleWithWorkers }),
    z.strictObject({
      schedule: z.literal('step'),
      rate,
      epochs: z
        .array(upTo(mostEpochs))
        .min(1)
        .max(1000)
        .describe('epochs (from 0) at which the rate is multiplied by factor'),
      factor: z.number().positive().default(0.1).describe('what the rate is multiplied by at each of them'),
      warmupEpochs,
      scaleWithWorkers,
    }),
    z.strictObject({
      schedule: z.literal('cosine'),
      rate,
      finalRate: z.number().min(0).default(0).describe('what it falls towards, in half a cosine'),
      warmupEpochs,
      scaleWithWorkers,
    }),
    z.strictObject({
      schedule: z.literal('one-cycle'),
      rate: rate.describe('the largest rate'),
      warmup: probability.default(0.25).describe('share of the steps that climb to it'),
      startDivisor: z.number().min(1).default(25).describe('the first rate is rate / startDivisor'),
      endDivisor: z
        .number()
        .min(1)
        .default(10_000)
        .describe('the last rate is rate / startDivisor / endDivisor'),
      scaleWithWorkers,
    }),
  ])
  .describe('of the learning rate over the steps');

export type LearningRateConfig = z.output<typeof scheduleSchema>;
