/** Batch norm from its definition, in double precision, one value at a time. Images are rows of channels. */
export interface Reference {
  x: Float64Array;
  gamma: Float64Array;
  beta: Float64Array;
  residual?: Float64Array;
  means: Float64Array;
  /** Mean squared deviation of each channel, divided by the number of rows. */
  variances: Float64Array;
  epsilon: number;
  relu: boolean;
}

/** Sums over the rows of `value(index, channel)`. */
export function sumRows(length: number, channels: number, value: (index: number, channel: number) => number) {
  const sums = new Float64Array(channels);
  for (let index = 0; index < length; index++) sums[index % channels] += value(index, index % channels);
  return sums;
}

export function momentsOf(x: Float64Array, channels: number) {
  const rows = x.length / channels;
  const means = sumRows(x.length, channels, (index) => x[index] / rows);
  const variances = sumRows(x.length, channels, (index, channel) => (x[index] - means[channel]) ** 2 / rows);
  return { means, variances };
}

export function outputOf({ beta, gamma, residual, relu, ...reference }: Reference): Float64Array {
  const channels = gamma.length;
  return reference.x.map((_, index) => {
    const channel = index % channels;
    const value = gamma[channel] * normalisedOf(reference, index) + beta[channel] + (residual?.[index] ?? 0);
    return relu ? Math.max(0, value) : value;
  });
}

/** The gradient behind the ReLU: dy where the output y is positive, else 0. */
export function openOf(dy: Float64Array, y: Float64Array, relu: boolean): Float64Array {
  return relu ? dy.map((value, index) => (y[index] > 0 ? value : 0)) : dy;
}

/** Sums over the rows of g and of g xhat, and of their absolute values. */
export function gradientSumsOf(g: Float64Array, reference: Reference) {
  const channels = reference.gamma.length;
  const both = (value: (index: number) => number) => sumRows(g.length, channels, value);
  const product = (index: number) => g[index] * normalisedOf(reference, index);
  return {
    sums: [both((index) => g[index]), both(product)],
    magnitudes: [both((index) => Math.abs(g[index])), both((index) => Math.abs(product(index)))],
  };
}

/** dx, computed from the averages over the rows of g and of g xhat. */
export function inputGradientOf(
  g: Float64Array,
  averages: readonly Float64Array[],
  reference: Reference,
): Float64Array {
  const { gamma, variances, epsilon } = reference;
  return g.map((value, index) => {
    const channel = index % gamma.length;
    const inner = value - averages[0][channel] - normalisedOf(reference, index) * averages[1][channel];
    return (gamma[channel] / Math.sqrt(variances[channel] + epsilon)) * inner;
  });
}

function normalisedOf(
  { x, means, variances, epsilon }: Pick<Reference, 'x' | 'means' | 'variances' | 'epsilon'>,
  index: number,
): number {
  const channel = index % means.length;
  return (x[index] - means[channel]) / Math.sqrt(variances[channel] + epsilon);
}
