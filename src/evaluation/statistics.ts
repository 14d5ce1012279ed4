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

/** Of the negative values, the share that is at least as large as the threshold that `share` of the positive ones reach. */
export function falsePositives(
  positive: readonly number[],
  negative: readonly number[],
  share: number,
): number | null {
  if (positive.length === 0 || negative.length === 0) return null;
  const sorted = Float64Array.from(positive).sort();
  const threshold = sorted[sorted.length - Math.ceil(share * sorted.length)];
  return negative.filter((value) => value >= threshold).length / negative.length;
}

/**
 * Area under the curve of precision over recall: the mean over the positive values of the precision at a threshold of each
 * (average precision), equal values taken together; null where either is empty.
 */
export function averagePrecision(positive: readonly number[], negative: readonly number[]): number | null {
  if (positive.length === 0 || negative.length === 0) return null;
  const [p, n] = [positive, negative].map((values) => Float64Array.from(values).sort().reverse());
  let sum = 0;
  let accepted = 0;
  for (let start = 0; start < p.length;) {
    let end = start;
    while (end < p.length && p[end] === p[start]) end++;
    while (accepted < n.length && n[accepted] >= p[start]) accepted++;
    sum += ((end - start) * end) / (end + accepted);
    start = end;
  }
  return sum / p.length;
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
