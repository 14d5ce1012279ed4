import * as tf from '../tf/index.js';
import type { BatchNormCall, BatchNormOperations, Normalised } from './batch-norm.js';
import type { HostTensor } from './host-values.js';
import { reluGradient } from './operations.js';
import { running } from './running.js';

/** Batch norm of ordinary operations. Statistics are the mean and the biased variance. */
export const composedBatchNorm: BatchNormOperations = {
  readsOutput: ({ activation }) => activation === 'relu',

  sums(x) {
    const { mean, variance } = channelMoments(x);
    return [mean, variance];
  },
  readSums: sumsOfMoments,

  statistics: ({ means, variances }) => [vector(means), vector(variances)],
  normalise: normaliseWith,

  gradientSums(dy, normalised) {
    const g = throughActivation(dy, normalised);
    return { sums: sumsOnDevice(g ?? dy, normalised), g };
  },
  readGradientSums: joined,

  averages(averages) {
    const channels = averages.length / 2;
    return [vector(averages.subarray(0, channels)), vector(averages.subarray(channels))];
  },
  gradient: inputGradient,

  whole: {
    normalise(call) {
      const { mean, variance } = channelMoments(call.x);
      const count = call.x.size / mean.size;
      const unbiased = tf.mul(variance, count / Math.max(count - 1, 1));
      const statistics = [mean, variance];
      return { y: normaliseWith(call, statistics), statistics, moments: [mean, unbiased] };
    },
    gradient(dy, normalised) {
      const g = throughActivation(dy, normalised);
      const [dbeta, dgamma] = sumsOnDevice(g ?? dy, normalised);
      const count = normalised.x.size / dbeta.size;
      const averages = [tf.div(dbeta, count), tf.div(dgamma, count)];
      return { dx: inputGradient(g ?? dy, averages, normalised), dgamma, dbeta, g };
    },
  },
};

/** Batch norm of the backend that runs. */
export function runningBatchNorm(): BatchNormOperations {
  return running().batchNorm ?? composedBatchNorm;
}

/** Sums of x and x^2 from the means and the biased variances of its channels, over `count` values each. */
export function sumsOfMoments(values: readonly Float32Array[], count: number): Float64Array {
  const moments = joined(values);
  const channels = moments.length / 2;
  return moments.map((value, index) =>
    index < channels ? count * value : count * (value + moments[index - channels] ** 2),
  );
}

/** Adds the residual and applies the activation that a batch norm still lacks. */
export function finish(y: tf.Tensor, { residual, activation }: BatchNormCall): tf.Tensor {
  const sum = residual ? tf.add(y, residual) : y;
  return activation === 'relu' ? tf.relu(sum) : sum;
}

/** dy where the ReLU is open; undefined where there is none, and it is dy itself. */
export function throughActivation(dy: tf.Tensor, { y }: Normalised): tf.Tensor | undefined {
  return y ? reluGradient(dy, y) : undefined;
}

/** Float64 numbers in a float32 array of the same bytes. */
export function doublesIn(floats: Float32Array): Float64Array {
  return new Float64Array(floats.slice().buffer);
}

/** Arrays one after another. */
export function joined(arrays: readonly Float32Array[]): Float64Array {
  return Float64Array.from(arrays.flatMap((values) => [...values]));
}

/** Mean and biased variance of each channel. */
function channelMoments(x: tf.Tensor): { mean: tf.Tensor; variance: tf.Tensor } {
  return tf.moments(x, allButLast(x));
}

function normaliseWith(call: BatchNormCall, [mean, variance]: readonly tf.Tensor[]): tf.Tensor {
  const { x, gamma, beta, epsilon } = call;
  return finish(lineThrough(x, { mean, variance, offset: beta, scale: gamma, epsilon }), call);
}

/** Sums of g and g xhat. */
function sumsOnDevice(g: tf.Tensor, { x, statistics, epsilon }: Normalised): [tf.Tensor, tf.Tensor] {
  const [mean, variance] = statistics;
  const inverse = tf.rsqrt(tf.add(variance, epsilon));
  const axes = allButLast(x);
  const products = tf.sum(tf.mul(g, tf.sub(x, mean)), axes);
  return [tf.sum(g, axes), tf.mul(products, inverse)];
}

/**
 * dx from the averages of g and g xhat. Without its first term it is a line through x in each channel, which is what a
 * batch norm with known statistics computes.
 */
function inputGradient(
  g: tf.Tensor,
  [averageG, averageGXhat]: readonly tf.Tensor[],
  { x, gamma, statistics, epsilon }: Normalised,
): tf.Tensor {
  const [mean, variance] = statistics;
  const slope = tf.mul(gamma, tf.rsqrt(tf.add(variance, epsilon)));
  const scale = tf.neg(slope);
  const offset = tf.mul(scale, averageG);
  const line = lineThrough(x, { mean, variance, offset, scale: tf.mul(scale, averageGXhat), epsilon });
  return tf.add(tf.mul(g, slope), line);
}

function lineThrough(
  x: tf.Tensor,
  {
    mean,
    variance,
    offset,
    scale,
    epsilon,
  }: Record<'mean' | 'variance' | 'offset' | 'scale', tf.Tensor> & {
    epsilon: number;
  },
): tf.Tensor {
  const [m, v, o, s] = [mean, variance, offset, scale] as tf.Tensor1D[];
  return tf.batchNorm(x as tf.Tensor4D, m, v, o, s, epsilon);
}

function vector(values: Float64Array): HostTensor {
  return { values: Float32Array.from(values), shape: [values.length] };
}

function allButLast(x: tf.Tensor): number[] {
  return x.shape.slice(0, -1).map((_, axis) => axis);
}
