import * as tf from '../../tf/index.js';
import type { BatchNormOperations } from '../batch-norm.js';
import { composedBatchNorm, doublesIn, finish, throughActivation } from '../composed-batch-norm.js';
import { registerKernel, type Inputs } from '../kernels.js';
import { backendName, type Heap } from './heap.js';

/**
 * Batch norm in kernels of our own. Statistics of the halves are the mean and the biased variance, of a whole pass the
 * mean and 1 / sqrt(variance + epsilon).
 */
export function batchNormOf(heap: Heap): BatchNormOperations {
  const define = (
    name: string,
    compute: (heap: Heap, inputs: Inputs, epsilon: number) => tf.TensorInfo | tf.TensorInfo[],
  ) => registerKernel(backendName, name, (inputs, { epsilon }) => compute(heap, inputs, epsilon as number));
  const sums = define('BatchNormSums', channelSums);
  const gradientSums = define('BatchNormGradientSums', sumsOfGradient);
  const gradient = define('BatchNormGradient', inputGradient);
  const whole = define('BatchNormWhole', wholeBatchNorm);
  const wholeGradient = define('BatchNormWholeGradient', wholeBatchNormGradient);

  return {
    ...composedBatchNorm,

    sums: (x) => sums({ x }),
    readSums: ([floats]) => doublesIn(floats),

    gradientSums(dy, normalised) {
      const g = throughActivation(dy, normalised);
      const { x, epsilon, statistics } = normalised;
      const [mean, variance] = statistics;
      const [both] = gradientSums({ dy: g ?? dy, x, mean, variance }, { epsilon });
      return { sums: [both], g };
    },

    averages: (averages) => [{ values: Float32Array.from(averages), shape: [averages.length] }],
    gradient: (dy, [averages], { x, gamma, epsilon, statistics: [mean, variance] }) =>
      gradient({ dy, x, gamma, mean, variance, averages }, { epsilon })[0],

    whole: {
      normalise(call) {
        const { x, gamma, beta, epsilon } = call;
        const [y, mean, inverse, unbiased] = whole({ x, gamma, beta }, { epsilon });
        return { y: finish(y, call), statistics: [mean, inverse], moments: [mean, unbiased] };
      },
      gradient(dy, normalised) {
        const g = throughActivation(dy, normalised);
        const { x, gamma, statistics } = normalised;
        const [mean, inverse] = statistics;
        const [dx, dgamma, dbeta] = wholeGradient({ dy: g ?? dy, x, gamma, mean, inverse });
        return { dx, dgamma, dbeta, g };
      },
    },
  };
}

/** Rows and channels of [..., channels]. */
function sizeOf({ shape }: tf.TensorInfo): { rows: number; channels: number } {
  const channels = shape[shape.length - 1];
  return { rows: shape.slice(0, -1).reduce((product, size) => product * size, 1), channels };
}

/** Sums of x and of x^2 as float64, in a float32 tensor [4 channels] of the same bytes. */
function channelSums(heap: Heap, { x }: Inputs): tf.TensorInfo {
  const { rows, channels } = sizeOf(x);
  const sums = heap.create([4 * channels]);
  heap.kernels.channelSums(heap.at(x), rows, channels, heap.at(sums));
  return sums;
}

/** Sums of dy, then of dy xhat, [2 channels]. */
function sumsOfGradient(heap: Heap, { dy, x, mean, variance }: Inputs, epsilon: number): tf.TensorInfo {
  const { rows, channels } = sizeOf(x);
  const result = heap.create([2 * channels]);
  heap.lend([16 * channels], (sums) => {
    heap.kernels.gradientSums(heap.at(dy), heap.at(x), rows, channels, heap.at(mean), sums);
    const [both, variances] = [result, variance].map((tensor) =>
      heap.floats(heap.at(tensor), tf.util.sizeFromShape(tensor.shape)),
    );
    const totals = heap.doubles(sums, 2 * channels);
    for (let channel = 0; channel < channels; channel++) {
      both[channel] = totals[channel];
      both[channels + channel] = totals[channels + channel] * (1 / Math.sqrt(variances[channel] + epsilon));
    }
  });
  return result;
}

/** dx from averages [2 channels] of dy and of dy xhat: one pass over dy and x. */
function inputGradient(
  heap: Heap,
  { dy, x, gamma, mean, variance, averages }: Inputs,
  epsilon: number,
): tf.TensorInfo {
  const { rows, channels } = sizeOf(x);
  const dx = heap.create(x.shape);
  const { fround, sqrt } = Math;
  const vectors = 4 * channels;
  heap.lend([vectors, vectors, vectors], (a, b, c) => {
    const vector = (tensor: tf.TensorInfo) => heap.floats(heap.at(tensor), channels);
    const [gammas, means, variances] = [gamma, mean, variance].map(vector);
    const known = heap.floats(heap.at(averages), 2 * channels);
    const [as, bs, cs] = [a, b, c].map((pointer) => heap.floats(pointer, channels));
    for (let channel = 0; channel < channels; channel++) {
      const deviation = sqrt(variances[channel] + epsilon);
      const scale = gammas[channel] * fround(1 / fround(sqrt(fround(variances[channel] + fround(epsilon)))));
      as[channel] = gammas[channel] * (1 / deviation);
      bs[channel] = -fround(fround(scale) * known[channels + channel]) / deviation;
      cs[channel] = -fround(fround(scale) * known[channel]) - means[channel] * bs[channel];
    }
    heap.kernels.plane(heap.at(dy), heap.at(x), heap.at(dx), rows, channels, a, b, c);
  });
  return dx;
}

/** y, mean, 1 / sqrt(variance + epsilon) and the unbiased variance: two passes over x. */
function wholeBatchNorm(heap: Heap, { x, gamma, beta }: Inputs, epsilon: number): tf.TensorInfo[] {
  const { rows, channels } = sizeOf(x);
  const y = heap.create(x.shape);
  const found = [heap.create([channels]), heap.create([channels]), heap.create([channels])];
  heap.lend([16 * channels, 4 * channels, 4 * channels], (sums, scales, offsets) => {
    heap.kernels.channelSums(heap.at(x), rows, channels, sums);
    const vector = (tensor: tf.TensorInfo) => heap.floats(heap.at(tensor), channels);
    const totals = heap.doubles(sums, 2 * channels);
    const [means, inverses, unbiased, gammas, betas] = [...found, gamma, beta].map(vector);
    const [scale, offset] = [heap.floats(scales, channels), heap.floats(offsets, channels)];
    for (let channel = 0; channel < channels; channel++) {
      const average = totals[channel] / rows;
      const variance = Math.fround(Math.max(totals[channels + channel] / rows - average * average, 0));
      means[channel] = average;
      inverses[channel] = 1 / Math.sqrt(variance + epsilon);
      scale[channel] = gammas[channel] / Math.sqrt(variance + epsilon);
      offset[channel] = betas[channel] - means[channel] * scale[channel];
      unbiased[channel] = variance * (rows / Math.max(rows - 1, 1));
    }
    heap.kernels.line(heap.at(x), heap.at(y), rows, channels, scales, offsets);
  });
  return [y, ...found];
}

/** dx, dgamma and dbeta: two passes over dy and x. */
function wholeBatchNormGradient(heap: Heap, { dy, x, gamma, mean, inverse }: Inputs): tf.TensorInfo[] {
  const { rows, channels } = sizeOf(x);
  const dx = heap.create(x.shape);
  const [dgamma, dbeta] = [heap.create([channels]), heap.create([channels])];
  const vectors = 4 * channels;
  heap.lend([16 * channels, vectors, vectors, vectors], (sums, a, b, c) => {
    heap.kernels.gradientSums(heap.at(dy), heap.at(x), rows, channels, heap.at(mean), sums);
    const vector = (tensor: tf.TensorInfo) => heap.floats(heap.at(tensor), channels);
    const [gammas, means, inverses, sumsDyXhat, sumsDy] = [gamma, mean, inverse, dgamma, dbeta].map(vector);
    const totals = heap.doubles(sums, 2 * channels);
    const [as, bs, cs] = [a, b, c].map((pointer) => heap.floats(pointer, channels));
    for (let channel = 0; channel < channels; channel++) {
      const sumDy = totals[channel];
      const sumDyXhat = totals[channels + channel] * inverses[channel];
      const slope = -(gammas[channel] * inverses[channel] * inverses[channel] * sumDyXhat) / rows;
      as[channel] = gammas[channel] * inverses[channel];
      bs[channel] = slope;
      cs[channel] = -(as[channel] * sumDy) / rows - slope * means[channel];
      sumsDyXhat[channel] = sumDyXhat;
      sumsDy[channel] = sumDy;
    }
    heap.kernels.plane(heap.at(dy), heap.at(x), heap.at(dx), rows, channels, a, b, c);
  });
  return [dx, dgamma, dbeta];
}

/** A batch norm with known statistics: one pass over x. */
export function knownBatchNorm(
  heap: Heap,
  { x, mean, variance, offset, scale }: Inputs,
  epsilon: number,
): tf.TensorInfo {
  const { rows, channels } = sizeOf(x);
  const y = heap.create(x.shape);
  heap.lend([4 * channels, 4 * channels], (scales, offsets) => {
    const vector = (tensor: tf.TensorInfo) => heap.floats(heap.at(tensor), channels);
    const [means, variances, betas, gammas] = [mean, variance, offset, scale].map(vector);
    const [slopes, constants] = [heap.floats(scales, channels), heap.floats(offsets, channels)];
    for (let channel = 0; channel < channels; channel++) {
      slopes[channel] = gammas[channel] / Math.sqrt(variances[channel] + epsilon);
      constants[channel] = betas[channel] - means[channel] * slopes[channel];
    }
    heap.kernels.line(heap.at(x), heap.at(y), rows, channels, scales, offsets);
  });
  return y;
}
