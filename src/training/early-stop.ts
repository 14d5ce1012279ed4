import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Stopping } from '../checkpoint/manifest.js';
import { gainOf, type EpochMetrics } from '../config/metrics.js';
import type { Config } from '../config/schema.js';
import { epochMetricsOf } from '../evaluation/totals.js';

type Stop = Config['stop'];

/**
 * Judges an epoch: the best value so far by `stop.metric`, and the number of epochs since that were not better by more than
 * `stop.minDelta`. A value that is no number is passed over. Undefined where nothing stops a run early.
 */
export function judgeEpoch(
  before: Stopping | undefined,
  metrics: EpochMetrics,
  { metric, patience, minDelta }: Stop,
): Stopping | undefined {
  if (patience === undefined) return undefined;
  const value = metrics[metric];
  const known = before?.metric === metric ? before : undefined;
  if (Number.isNaN(value)) return known;
  if (!known || gainOf(metric, value, known.best) > minDelta) return { metric, best: value, since: 0 };
  return { ...known, since: known.since + 1 };
}

/** Whether a run ends after the epoch that was judged last. */
export function isStopped(stopping: Stopping | undefined, { patience, metric }: Stop): boolean {
  return patience !== undefined && stopping?.metric === metric && stopping.since >= patience;
}

/** What the epochs up to a checkpoint have come to, that of its evaluation included where it has one. */
export function stoppingOf(
  { stopping, evaluation, epoch, within }: Checkpoint,
  stop: Stop,
): Stopping | undefined {
  if (!evaluation || within) return stopping;
  return judgeEpoch(stopping, epochMetricsOf(evaluation, epoch?.trainLoss ?? NaN), stop);
}
