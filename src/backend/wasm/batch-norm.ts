import type { TensorInfo } from '../../tf/index.js';
import type { Heap } from './heap.js';

/** Rows and channels of [..., channels]. */
function rowsOf({ shape }: TensorInfo): { rows: number; channels: number } {
  const channels = shape[shape.length - 1];
  return { rows: shape.slice(0, -1).reduce((product, size) => product * size, 1), channels };
}

/** `channelSums` of trainingKernels. */
export function channelSums(heap: Heap, { x }: { x: TensorInfo }): TensorInfo {
  const { rows, channels } = rowsOf(x);
  const sums = heap.create([4 * channels]);
  heap.kernels.channelSums(heap.at(x), rows, channels, heap.at(sums));
  return sums;
}

interface BatchNormInputs {
  x: TensorInfo;
  gamma: TensorInfo;
  beta: TensorInfo;
}

/** `batchNorm` of trainingKernels: two passes over x. Saves mean, variance and 1 / sqrt(variance + epsilon). */
export function batchNorm(heap: Heap, { x, gamma, beta }: BatchNormInputs, epsilon: number): TensorInfo[] {
  const { rows, channels } = rowsOf(x);
  const y = heap.create(x.shape);
  const saved = [heap.create([channels]), heap.create([channels])];
  const inverse = heap.create([channels]);
  const [mean, unbiased] = [heap.create([channels]), heap.create([channels])];
  heap.lend([16 * channels, 4 * channels, 4 * channels], (sums, scales, offsets) => {
    heap.kernels.channelSums(heap.at(x), rows, channels, sums);
    const vector = (tensor: TensorInfo) => heap.floats(heap.at(tensor), channels);
    const totals = heap.doubles(sums, 2 * channels);
    const [means, variances, gammas, betas] = [...saved, gamma, beta].map(vector);
    const [scale, offset] = [heap.floats(scales, channels), heap.floats(offsets, channels)];
    const [inverses, meanCopy, corrected] = [inverse, mean, unbiased].map(vector);
    for (let channel = 0; channel < channels; channel++) {
      const average = totals[channel] / rows;
      means[channel] = average;
      variances[channel] = Math.max(totals[channels + channel] / rows - average * average, 0);
      inverses[channel] = 1 / Math.sqrt(variances[channel] + epsilon);
      scale[channel] = gammas[channel] / Math.sqrt(variances[channel] + epsilon);
      offset[channel] = betas[channel] - means[channel] * scale[channel];
      meanCopy[channel] = means[channel];
      corrected[channel] = variances[channel] * (rows / Math.max(rows - 1, 1));
    }
    heap.kernels.line(heap.at(x), heap.at(y), rows, channels, scales, offsets);
  });
  return [y, mean, unbiased, ...saved, inverse];
}

interface GradientInputs {
  dy: TensorInfo;
  x: TensorInfo;
  gamma: TensorInfo;
  saved1: TensorInfo;
  saved3: TensorInfo;
}

/** `batchNormGradient` of trainingKernels: two passes over dy and x. */
export function batchNormGradient(
  heap: Heap,
  { dy, x, gamma, saved1: mean, saved3: inverse }: GradientInputs,
): TensorInfo[] {
  const { rows, channels } = rowsOf(x);
  const dx = heap.create(x.shape);
  const [dgamma, dbeta] = [heap.create([channels]), heap.create([channels])];
  const vectors = 4 * channels;
  heap.lend([16 * channels, vectors, vectors, vectors], (sums, a, b, c) => {
    heap.kernels.gradientSums(heap.at(dy), heap.at(x), rows, channels, heap.at(mean), sums);
    const vector = (tensor: TensorInfo) => heap.floats(heap.at(tensor), channels);
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

interface SumsInputs {
  dy: TensorInfo;
  x: TensorInfo;
  gamma: TensorInfo;
  mean: TensorInfo;
  variance: TensorInfo;
}

/** `batchNormSums` of trainingKernels. */
export function batchNormSums(
  heap: Heap,
  { dy, x, gamma, mean, variance }: SumsInputs,
  epsilon: number,
): TensorInfo[] {
  const { rows, channels } = rowsOf(x);
  const scaled = heap.create(x.shape);
  const [sumDyXhat, sumDy] = [heap.create([channels]), heap.create([channels])];
  heap.lend([16 * channels, 4 * channels, 4 * channels], (sums, scales, zeros) => {
    heap.kernels.gradientSums(heap.at(dy), heap.at(x), rows, channels, heap.at(mean), sums);
    const vector = (tensor: TensorInfo) => heap.floats(heap.at(tensor), channels);
    const [gammas, variances, products, slopes] = [gamma, variance, sumDyXhat, sumDy].map(vector);
    const totals = heap.doubles(sums, 2 * channels);
    const scale = heap.floats(scales, channels);
    for (let channel = 0; channel < channels; channel++) {
      const inverse = 1 / Math.sqrt(variances[channel] + epsilon);
      scale[channel] = gammas[channel] * inverse;
      slopes[channel] = totals[channel];
      products[channel] = totals[channels + channel] * inverse;
    }
    heap.kernels.line(heap.at(dy), heap.at(scaled), rows, channels, scales, zeros);
  });
  return [sumDyXhat, sumDy, scaled];
}

/** A batch norm with known statistics, one pass over x. */
export function knownBatchNorm(
  heap: Heap,
  { x, mean, variance, offset, scale }: Record<'x' | 'mean' | 'variance' | 'offset' | 'scale', TensorInfo>,
  epsilon: number,
): TensorInfo {
  const { rows, channels } = rowsOf(x);
  const y = heap.create(x.shape);
  heap.lend([4 * channels, 4 * channels], (scales, offsets) => {
    const vector = (tensor: TensorInfo) => heap.floats(heap.at(tensor), channels);
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
