import { randomStream } from '../util/random.js';

/** Multiply-adds that a measurement may cost. */
const defaultBudget = 4e9;

export interface Measurement {
  /** Largest cosine among the pairs measured; -1 where there is no pair. */
  maxCosine: number;
  /** Smallest cosine among them; 1 where there is no pair. */
  minCosine: number;
  /** Pairs measured. */
  pairs: number;
  /** Whether that is all of them; otherwise they are a seeded sample. */
  complete: boolean;
}

/**
 * Cosines between centroids [classes, dim] as they are in float32, unit rows, summed in double precision: of all pairs
 * where they cost no more than `budget` multiply-adds, else of a sample of as many as that allows.
 */
export function measureCosines(
  values: Float32Array,
  classes: number,
  dim: number,
  budget = defaultBudget,
): Measurement {
  const all = (classes * (classes - 1)) / 2;
  const complete = all * dim <= budget;
  const pairs = complete ? all : Math.floor(budget / dim);
  const range = { maxCosine: -1, minCosine: 1 };
  const measure = (i: number, j: number) => {
    const cosine = dot(values, i * dim, j * dim, dim);
    if (cosine > range.maxCosine) range.maxCosine = cosine;
    if (cosine < range.minCosine) range.minCosine = cosine;
  };
  if (complete) {
    for (let i = 0; i < classes; i++) for (let j = 0; j < i; j++) measure(i, j);
  } else {
    const random = randomStream(0, 0x3ea5);
    for (let pair = 0; pair < pairs; pair++) {
      const i = random.below(classes);
      measure(i, (i + 1 + random.below(classes - 1)) % classes);
    }
  }
  return { ...range, pairs, complete };
}

/** Inner product, in four sums that the processor adds up side by side. */
function dot(values: Float32Array, left: number, right: number, count: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const end = count - (count % 4);
  for (let at = 0; at < end; at += 4) {
    a += values[left + at] * values[right + at];
    b += values[left + at + 1] * values[right + at + 1];
    c += values[left + at + 2] * values[right + at + 2];
    d += values[left + at + 3] * values[right + at + 3];
  }
  for (let at = end; at < count; at++) a += values[left + at] * values[right + at];
  return a + b + (c + d);
}
