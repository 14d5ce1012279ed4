import { z } from 'zod';
import { stoppingSchema, type Stopping } from '../checkpoint/manifest.js';

/** How far a training has come; equal on all ranks. What a step changes besides: weights, optimiser, loss, statistics. */
export interface TrainingState {
  /** Epochs trained so far. */
  epochs: number;
  /** Steps made of the epoch after these. */
  steps: number;
  /** Sum of the losses of all images of these steps, over all ranks. */
  lossSum: number;
  /** Results of the last epoch, where its evaluation is still to be made. */
  unevaluated?: { trainLoss: number; seconds: number };
  /** What decides on an early end, of the epochs that are evaluated; undefined where nothing does. */
  stopping?: Stopping;
}

const whole = z.int().min(0);

export const trainingStateSchema: z.ZodType<TrainingState> = z.object({
  epochs: whole,
  steps: whole,
  lossSum: z.number(),
  unevaluated: z.object({ trainLoss: z.number(), seconds: z.number() }).optional(),
  stopping: stoppingSchema.optional(),
});
