/** Counts of values in bins of equal width from `from` to `to`; values outside count in the outermost bins. */
export interface Histogram {
  from: number;
  to: number;
  counts: number[];
}

/** The bin of a value among `bins` of equal width. */
export function binOf(value: number, from: number, to: number, bins: number): number {
  const bin = Math.floor(((value - from) / (to - from)) * bins);
  return Math.max(0, Math.min(bins - 1, bin));
}

export function histogram(values: Iterable<number>, from: number, to: number, bins: number): Histogram {
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) counts[binOf(value, from, to, bins)]++;
  return { from, to, counts };
}

/** The mean; null of nothing. */
export function mean(values: readonly number[]): number | null {
  return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

/**
 * Area under the receiver operating characteristic: the probability that a value of `positive` is larger than one of
 * `negative`, equal ones counting half (the Mann-Whitney statistic, from ranks); null where either is empty.
 */
export function areaUnderRoc(positive: readonly number[], negative: readonly number[]): number | null {
  if (positive.length === 0 || negative.length === 0) return null;
  const all = [
    ...positive.map((value) => ({ value, counted: 1 })),
    ...negative.map((value) => ({ value, counted: 0 })),
  ].sort((a, b) => a.value - b.value);
  let rankSum = 0;
  for (let start = 0; start < all.length;) {
    let end = start;
    let counted = 0;
    while (end < all.length && all[end].value === all[start].value) counted += all[end++].counted;
    rankSum += (counted * (start + 1 + end)) / 2;
    start = end;
  }
  const pairs = positive.length * negative.length;
  return (rankSum - (positive.length * (positive.length + 1)) / 2) / pairs;
}
