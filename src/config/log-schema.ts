import { z } from 'zod';

/** Tools that `log` may name. */
export const sinkNames = ['tensorboard', 'mlflow'] as const;

export type SinkName = (typeof sinkNames)[number];

/** Settings of what other tools see of a run. */
export const logSchema = z
  .array(z.enum(sinkNames))
  .max(100)
  .default([])
  .describe('tools that can look at the run while it trains: see docs/monitoring.md');
