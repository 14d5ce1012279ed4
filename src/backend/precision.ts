/** Types that convolutions and matrix products of a network can be computed in. */
export const precisions = ['float32', 'bf16'] as const;

export type Precision = (typeof precisions)[number];

let current: Precision = 'float32';

/**
 * Runs what makes convolutions, matrix products and batch norms of a network: with `bf16` these round what they are given
 * and what they return to bfloat16. Tensors stay float32 for TensorFlow.js, and so do weights, sums and statistics.
 */
export function inPrecision<T>(precision: Precision, compute: () => T): T {
  const outer = current;
  current = precision;
  try {
    return compute();
  } finally {
    current = outer;
  }
}

/** The precision that kernels are to compute in now. */
export function precisionNow(): Precision {
  return current;
}
