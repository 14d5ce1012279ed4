import * as tf from '../tf/index.js';
import type { BatchNormCall, BatchNormOperations, Normalised } from './batch-norm.js';
import { reluGradient } from './operations.js';
import { running } from './running.js';

/** Batch norm of ordinary operations. Statistics are the mean and the biased variance. */
export const composedBatchNorm: BatchNormOperations = {
  readsOutput: ({ activation }) => activation === 'relu',

  sums: (x) => sumsOf(x, channelMoments(x)),

  normalise(call, { means, variances }) {
    const statistics = [vector(means), vector(variances)];
    return { y: normaliseWith(call, statistics), statistics };
  },

  gradientSums(dy, normalised) {
    const g = throughActivation(dy, normalised);
    return { sums: read(sumsOnDevice(g ?? dy, normalised)), g };
  },

  gradient(dy, averages, normalised) {
    const channels = averages.length / 2;
    return inputGradient(
      dy,
      [vector(averages.subarray(0, channels)), vector(averages.subarray(channels))],
      normalised,
    );
  },

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

/** Sums of x and x^2 from the moments of its channels. */
export function sumsOf(x: tf.Tensor, { mean, variance }: Record<'mean' | 'variance', tf.Tensor>) {
  const moments = read([mean, variance]);
  const channels = moments.length / 2;
  const count = x.size / channels;
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

/** Float32 tensors of [channels], one after another, as float64. */
export function read(tensors: readonly tf.Tensor[]): Float64Array {
  const joined = tf.concat([...tensors]);
  const values = Float64Array.from(joined.dataSync<'float32'>());
  joined.dispose();
  return values;
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

function vector(values: Float64Array): tf.Tensor1D {
  return tf.tensor1d(Float32Array.from(values));
}

function allButLast(x: tf.Tensor): number[] {
  return x.shape.slice(0, -1).map((_, axis) => axis);
}
