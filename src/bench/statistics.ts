import { largest } from '../util/extremes.js';

/** The middle value; of an even number the lower one of the two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1];
}

/** The slowest rank's time of each iteration. */
export function slowest(times: readonly (readonly number[])[]): number[] {
  return times[0].map((_, iteration) => largest(times.map((own) => own[iteration])));
}
