import { z } from 'zod';
import { zeroTo } from '../util/bounds.js';

/** Tools that `log` may name. */
export const sinkNames = ['tensorboard', 'mlflow', 'opentelemetry'] as const;

export type SinkName = (typeof sinkNames)[number];

/** Settings of what other tools see of a run. */
export const logSchema = z
  .array(z.enum(sinkNames))
  .max(100)
  .default([])
  .describe('tools that can look at the run while it trains: see docs/monitoring.md');

/** A port of loopback, or a host and a port. */
export const metricsSchema = z
  .union([
    zeroTo(65_535),
    z
      .string()
      .max(300)
      .regex(/^(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, 'a port, or host:port'),
  ])
  .optional()
  .describe('port where Prometheus finds metrics of the run, on loopback; or host:port; 0: a free one');
