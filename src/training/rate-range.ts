import { present } from '../util/present.js';

/** Share of the mean that a step's loss keeps of it. */
const kept = 0.9;
/** A smoothed loss so many times the best one ends the search. */
const diverged = 4;

/** `steps` learning rates from `from` to `to`, each the same multiple of the one before. */
export function ratesBetween(from: number, to: number, steps: number): number[] {
  return Array.from({ length: steps }, (_, step) => from * (to / from) ** (step / Math.max(1, steps - 1)));
}

/** The exponential mean of losses, with the bias towards the first ones taken away, and whether it has diverged. */
export class SmoothedLoss {
  value = NaN;
  private mean = 0;
  private weight = 0;
  private best = Infinity;

  add(loss: number): void {
    this.mean = kept * this.mean + (1 - kept) * loss;
    this.weight = kept * this.weight + 1 - kept;
    this.value = this.mean / this.weight;
    this.best = Math.min(this.best, this.value);
  }

  get hasDiverged(): boolean {
    return this.weight > 0 && !(this.value <= diverged * this.best);
  }
}

/** One step of the search. */
export interface RatePoint {
  rate: number;
  loss: number;
  smoothed: number;
}

/** Losses by rate, with their exponential mean. */
export function smooth(steps: readonly { rate: number; loss: number }[]): RatePoint[] {
  const smoothed = new SmoothedLoss();
  return steps.map(({ rate, loss }) => {
    smoothed.add(loss);
    return { rate, loss, smoothed: smoothed.value };
  });
}

/** Where the smoothed loss is smallest, and where before that it falls fastest over the logarithm of the rate. */
export interface SuggestedRate {
  /** Undefined where the loss falls nowhere. */
  steepest: number | undefined;
  smallest: number;
}

/** Steps on either side of a point that its slope is measured over. */
const reach = 3;

/** Suggests a rate: the mean is rough over the first points, which do not count. */
export function suggestRate(points: readonly RatePoint[]): SuggestedRate {
  const at = (index: number) => present(points[index], 'a point');
  let last = 0;
  points.forEach(({ smoothed }, index) => {
    if (smoothed <= at(last).smoothed) last = index;
  });
  let steepest: number | undefined;
  let slope = 0;
  for (let index = 2 * reach; index <= last - reach; index++) {
    const [before, after] = [at(index - reach), at(index + reach)];
    const fall = (after.smoothed - before.smoothed) / Math.log(after.rate / before.rate);
    if (fall < slope) [steepest, slope] = [at(index).rate, fall];
  }
  return { steepest, smallest: at(last).rate };
}
