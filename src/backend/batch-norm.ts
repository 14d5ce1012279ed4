import type * as tf from '../tf/index.js';
import type { Activation } from './activation.js';
import type { HostTensor } from './host-values.js';

/**
 * One batch norm in a training pass over x [..., channels]:
 *
 *     y = gamma xhat + beta + residual, or max(0, that) with ReLU      xhat = (x - mean) / sqrt(variance + epsilon)
 *
 * gamma and beta are [channels], a residual is as large as x.
 */
export interface BatchNormCall {
  x: tf.Tensor;
  gamma: tf.Tensor;
  beta: tf.Tensor;
  residual?: tf.Tensor;
  epsilon: number;
  activation: Activation;
}

/** Mean and biased variance of each channel. */
export interface Moments {
  means: Float64Array;
  variances: Float64Array;
}

/** Input of the gradient of a batch norm. */
export interface Normalised extends Omit<BatchNormCall, 'residual'> {
  /** Statistics that the forward pass has returned. */
  statistics: readonly tf.Tensor[];
  /** Output of the forward pass, where `readsOutput` asks for it. */
  y?: tf.Tensor;
}

/** Gradients of a batch norm. */
export interface BatchNormGradients {
  dx: tf.Tensor;
  dgamma: tf.Tensor;
  dbeta: tf.Tensor;
  /** Gradient of the residual: dy where the ReLU is open; absent where it is dy itself, or is not needed. */
  g?: tf.Tensor;
}

/**
 * Batch norm as a backend computes it, in four halves: each pass sums over images, and goes on with the sums of all
 * images, which may be on other ranks. Sums are float64. `composedBatchNorm` makes every part of ordinary operations;
 * a backend replaces the parts that it computes better. The content of `statistics` is up to the backend.
 */
export interface BatchNormOperations {
  /** Whether the gradient of such a batch norm needs its output; the composed gradient does where a ReLU follows. */
  readsOutput(call: BatchNormCall): boolean;

  /** Tensors that tell the sums of x and of x^2 of each channel. */
  sums(x: tf.Tensor): tf.Tensor[];
  /** The sums, [2, channels], from the values of the tensors of `sums` over `count` values a channel. */
  readSums(values: readonly Float32Array[], count: number): Float64Array;

  /** What `normalise` and the gradient know of a batch: known moments as they want them. */
  statistics(moments: Moments, epsilon: number): HostTensor[];
  /** Computes y from known statistics. */
  normalise(call: BatchNormCall, statistics: readonly tf.Tensor[]): tf.Tensor;

  /**
   * Tensors that tell the sums of g and of g xhat, g being dy where the ReLU is open (y > 0), else 0. `g` is returned
   * where it is not dy and `gradient` wants it, or the residual.
   */
  gradientSums(dy: tf.Tensor, normalised: Normalised): { sums: tf.Tensor[]; g?: tf.Tensor };
  /** The sums, [2, channels], from the values of those tensors. */
  readGradientSums(values: readonly Float32Array[]): Float64Array;

  /** Averages of g and of g xhat over all images, [2, channels], as `gradient` wants them. */
  averages(averages: Float64Array): HostTensor[];

  /**
   * dx from those averages:
   *
   *     dx = gamma / sqrt(variance + epsilon) (g - average(g) - xhat average(g xhat))
   *
   * `dy` is the g of `gradientSums`, with the activation `linear`, or dy itself where it returned none.
   */
  gradient(dy: tf.Tensor, averages: readonly tf.Tensor[], normalised: Normalised): tf.Tensor;

  /** Both passes where all images are in x: nothing is read from the device. Statistics may differ from the halves'. */
  whole: {
    /** `moments` are the means, then the unbiased variances, in one tensor or in two. */
    normalise(call: BatchNormCall): { y: tf.Tensor; statistics: tf.Tensor[]; moments: tf.Tensor[] };
    gradient(dy: tf.Tensor, normalised: Normalised): BatchNormGradients;
  };
}
