import * as tf from '../tf/index.js';
import { trainingKernels } from './kernel-names.js';
import type { Activation } from './operations.js';
import { hasKernel, runKernel, runWhereKnown } from './run-kernel.js';

/** What a batch norm over x [b, height, width, channels] gives, and what its gradient needs. */
export interface BatchNormed {
  y: tf.Tensor;
  /** [channels] */
  mean: tf.Tensor;
  /** Unbiased, [channels]. */
  variance: tf.Tensor;
  saved: tf.Tensor[];
}

/** Batch norm over all of x: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, or max(0, y). */
export function batchNorm(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  { epsilon, activation = 'linear' }: { epsilon: number; activation?: Activation },
): BatchNormed {
  const inputs = { x, gamma, beta };
  if (activation === 'relu') {
    const outputs = runWhereKnown<tf.Tensor[]>(trainingKernels.batchNormRelu, inputs, { epsilon });
    if (outputs) return named(outputs);
    const normed = batchNorm(x, gamma, beta, { epsilon });
    return { ...normed, y: tf.relu(normed.y) };
  }
  const outputs = runWhereKnown<tf.Tensor[]>(trainingKernels.batchNorm, inputs, { epsilon });
  if (outputs) return named(outputs);
  const { mean, variance } = moments(x);
  const count = x.size / mean.size;
  return {
    y: tf.batchNorm(
      x as tf.Tensor4D,
      mean as tf.Tensor1D,
      variance as tf.Tensor1D,
      beta as tf.Tensor1D,
      gamma as tf.Tensor1D,
      epsilon,
    ),
    mean,
    variance: tf.mul(variance, count / Math.max(count - 1, 1)),
    saved: [mean, variance],
  };
}

function named([y, mean, variance, ...saved]: tf.Tensor[]): BatchNormed {
  return { y, mean, variance, saved };
}

/** The gradients of `batchNorm` without ReLU: dx, dgamma, dbeta. */
export function batchNormGradient(
  dy: tf.Tensor,
  { x, gamma, saved, epsilon }: { x: tf.Tensor; gamma: tf.Tensor; saved: tf.Tensor[]; epsilon: number },
): tf.Tensor[] {
  const [saved1, saved2, saved3] = saved;
  const inputs = { dy, x, gamma, saved1, saved2, saved3 };
  const outputs = runWhereKnown<tf.Tensor[]>(trainingKernels.batchNormGradient, inputs, { epsilon });
  if (outputs) return outputs;
  const sums = batchNormSums(dy, { x, gamma, mean: saved1, variance: saved2, epsilon });
  const { sumDyXhat, sumDy } = sums;
  const count = x.size / gamma.size;
  const dx = batchNormInputGradient(sums, tf.div(sumDyXhat, count), tf.div(sumDy, count));
  return [dx, sumDyXhat, sumDy];
}

/** Mean and biased variance of each channel of x [..., channels]. */
function moments(x: tf.Tensor): { mean: tf.Tensor; variance: tf.Tensor } {
  const outputs = runWhereKnown<tf.Tensor[]>(trainingKernels.moments, { x });
  if (outputs) return { mean: outputs[0], variance: outputs[1] };
  return tf.moments(x, allButLast(x));
}

/** Sum and sum of squares of each channel of x [..., channels]: [2, channels] in double precision. */
export function channelSums(x: tf.Tensor): Float64Array {
  if (hasKernel(trainingKernels.channelSums))
    return doublesOf(runKernel(trainingKernels.channelSums, { x })[0]);
  const { mean, variance } = moments(x);
  const [means, variances] = [mean, variance].map((tensor) => tensor.dataSync<'float32'>());
  const channels = means.length;
  const count = x.size / channels;
  const sums = new Float64Array(2 * channels);
  for (let channel = 0; channel < channels; channel++) {
    sums[channel] = count * means[channel];
    sums[channels + channel] = count * (variances[channel] + means[channel] ** 2);
  }
  return sums;
}

interface Normalised {
  x: tf.Tensor;
  gamma: tf.Tensor;
  mean: tf.Tensor;
  /** Biased. */
  variance: tf.Tensor;
  epsilon: number;
}

export interface BatchNormSums extends Normalised {
  /** Sum of dy (x - mean) / sqrt(variance + epsilon), [channels]. */
  sumDyXhat: tf.Tensor;
  /** [channels] */
  sumDy: tf.Tensor;
  /** dy gamma / sqrt(variance + epsilon). */
  scaled: tf.Tensor;
}

/** The sums over this rank's values that the gradients of a batch norm over several ranks need. */
export function batchNormSums(dy: tf.Tensor, normalised: Normalised): BatchNormSums {
  const { x, gamma, mean, variance, epsilon } = normalised;
  const outputs = runWhereKnown<tf.Tensor[]>(
    trainingKernels.batchNormSums,
    { dy, x, gamma, mean, variance },
    { epsilon },
  );
  if (outputs) {
    const [sumDyXhat, sumDy, scaled] = outputs;
    return { ...normalised, sumDyXhat, sumDy, scaled };
  }
  const inverse = tf.rsqrt(tf.add(variance, epsilon));
  const axes = allButLast(x);
  const sumDyXhat = tf.mul(tf.sum(tf.mul(dy, tf.sub(x, mean)), axes), inverse);
  return { ...normalised, sumDyXhat, sumDy: tf.sum(dy, axes), scaled: tf.mul(dy, tf.mul(gamma, inverse)) };
}

/**
 * dx of a batch norm from the means of dy xhat and dy over all values, [channels] each:
 *
 *     dx = gamma / sqrt(variance + epsilon) (dy - mean(dy) - xhat mean(dy xhat))
 *
 * The last two terms are a line through x in each channel, which is what a batch norm with known statistics computes.
 */
export function batchNormInputGradient(
  { x, gamma, mean, variance, epsilon, scaled }: BatchNormSums,
  meanDyXhat: tf.Tensor,
  meanDy: tf.Tensor,
): tf.Tensor {
  const scale = tf.neg(tf.mul(gamma, tf.rsqrt(tf.add(variance, epsilon))));
  const offset = tf.mul(scale, meanDy);
  const line = tf.batchNorm(
    x as tf.Tensor4D,
    mean as tf.Tensor1D,
    variance as tf.Tensor1D,
    offset as tf.Tensor1D,
    tf.mul(scale, meanDyXhat) as tf.Tensor1D,
    epsilon,
  );
  return tf.add(scaled, line);
}

/** A batch norm whose statistics are known: statistics are [mean, 1 / sqrt(variance + epsilon)], [2, channels]. */
export interface NormalisePass {
  x: tf.Tensor;
  gamma: tf.Tensor;
  beta: tf.Tensor;
  statistics: tf.Tensor;
  /** What follows it. */
  activation: Activation;
}

/** Whether the running backend has `normalise` and the passes that go with it. */
export function hasNormalisePasses(): boolean {
  return hasKernel(trainingKernels.normalise);
}

/** gamma xhat + beta, plus a residual where one is given, or max(0, that). */
export function normalisePass({ activation, ...inputs }: NormalisePass, residual?: tf.Tensor): tf.Tensor {
  return runKernel(trainingKernels.normalise, residual ? { ...inputs, residual } : inputs, { activation })[0];
}

/**
 * Sums of g and g xhat, [2, channels] in double precision; g is dy where the ReLU that follows lets it through. With a
 * residual before the ReLU its output y tells where, and g is given too.
 */
export function normaliseSums(
  dy: tf.Tensor,
  { activation, ...inputs }: NormalisePass,
  y?: tf.Tensor,
): { sums: Float64Array; g?: tf.Tensor } {
  const all = { dy, ...inputs, ...(y && { y }) };
  const [sums, g] = runKernel(trainingKernels.normaliseSums, all, { activation });
  return { sums: doublesOf(sums), g };
}

/** dx from the averages of g and g xhat over all values, [2, channels]. */
export function normaliseGradient(
  dy: tf.Tensor,
  averages: tf.Tensor,
  { activation, ...inputs }: NormalisePass,
): tf.Tensor {
  return runKernel(trainingKernels.normaliseGradient, { dy, ...inputs, averages }, { activation })[0];
}

/** A batch norm over all of x, as `normalisePass` with its own statistics; moments are the means, then the unbiased variances. */
export function wholeNormalise(
  { x, gamma, beta, activation }: Omit<NormalisePass, 'statistics'>,
  epsilon: number,
  residual?: tf.Tensor,
): { y: tf.Tensor; statistics: tf.Tensor; moments: tf.Tensor } {
  const inputs = { x, gamma, beta, ...(residual && { residual }) };
  const [y, statistics, moments] = runKernel(trainingKernels.wholeNormalise, inputs, { activation, epsilon });
  return { y, statistics, moments };
}

/** Its gradients: dx, dgamma, dbeta and, where y is given, g. */
export function wholeNormaliseGradient(
  dy: tf.Tensor,
  { activation, ...inputs }: NormalisePass,
  y?: tf.Tensor,
): tf.Tensor[] {
  const all = { dy, ...inputs, ...(y && { y }) };
  return runKernel(trainingKernels.wholeNormaliseGradient, all, { activation });
}

/** Float64 numbers in a float32 tensor of the same bytes. */
function doublesOf(tensor: tf.Tensor): Float64Array {
  const floats = tensor.dataSync<'float32'>();
  return new Float64Array(floats.buffer, floats.byteOffset, floats.length / 2);
}

function allButLast(x: tf.Tensor): number[] {
  return x.shape.slice(0, -1).map((_, axis) => axis);
}
