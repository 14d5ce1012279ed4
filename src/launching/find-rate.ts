import {
  ratesBetween,
  smooth,
  suggestRate,
  type RatePoint,
  type SuggestedRate,
} from '../training/rate-range.js';
import { codeOf, PodDistError, UserError } from '../util/errors.js';
import { present } from '../util/present.js';
import type { RunRequest } from './plan-run.js';
import { tryRun, type TriedStep, type TryHooks } from './try-run.js';

/** Request to find a learning rate. */
export interface RateRequest extends Omit<RunRequest, 'out' | 'resume'> {
  /** First and last rate. */
  from: number;
  to: number;
  /** Steps on the way. */
  steps: number;
}

/** Losses over learning rates. */
export interface RateSearch extends SuggestedRate {
  workers: number;
  batchSize: number;
  /** Whether the loss diverged before the last rate. */
  diverged: boolean;
  points: RatePoint[];
}

/**
 * Tries learning rates that rise from step to step, each by the same factor (arXiv 1506.01186), on the training images of
 * a run: the loss falls, then diverges.
 *
 * @throws UserError for a mistake in the request, or a loss that no rate makes finite; else as `launchRun`
 */
export async function findRate(request: RateRequest, hooks: TryHooks): Promise<RateSearch> {
  const { from, to, steps: count, ...run } = request;
  if (!(from > 0 && to > from && Number.isFinite(to)))
    throw new UserError('USAGE', `--from ${from} --to ${to}: give two positive rates, the larger one last`);
  if (!Number.isInteger(count) || count < 20 || count > 100_000)
    throw new UserError('USAGE', `--steps ${count}: give a whole number from 20 to 100,000`);
  const tried: TriedStep[] = [];
  const following = { ...hooks, step: (step: TriedStep) => void (tried.push(step), hooks.step?.(step)) };
  let workers = 1;
  let batchSize = 1;
  try {
    await tryRun(
      run,
      ({ config }) => {
        workers = config.workers;
        batchSize = config.batchSize * config.accumulate;
        return { rates: ratesBetween(from, to, count), untilDiverged: true };
      },
      following,
    );
  } catch (error) {
    const infinite = ['LOSS_NOT_FINITE', 'GRADIENT_NOT_FINITE'].includes(codeOf(error) ?? '');
    if (!infinite || !(error instanceof PodDistError) || tried.length < 20) throw error;
  }
  const points = smooth(tried.map(({ lr, loss }) => ({ rate: lr, loss })));
  const best = suggestRate(points);
  const diverged = tried.length < count || present(points.at(-1), 'a point').rate < to;
  return { workers, batchSize, diverged, ...best, points };
}
