import type * as tf from '../tf/index.js';
import type { Activation } from './activation.js';

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

  /** Sums of x and of x^2 of each channel, [2, channels]. */
  sums(x: tf.Tensor): Float64Array;

  /** Computes y from known moments. */
  normalise(call: BatchNormCall, moments: Moments): { y: tf.Tensor; statistics: tf.Tensor[] };

  /**
   * Sums of g and of g xhat, [2, channels], g being dy where the ReLU is open (y > 0), else 0. `g` is returned where it
   * is not dy and `gradient` wants it, or the residual.
   */
  gradientSums(dy: tf.Tensor, normalised: Normalised): { sums: Float64Array; g?: tf.Tensor };

  /**
   * dx from the averages of g and of g xhat over all images, [2, channels]:
   *
   *     dx = gamma / sqrt(variance + epsilon) (g - average(g) - xhat average(g xhat))
   *
   * `dy` is the g of `gradientSums`, with the activation `linear`, or dy itself where it returned none.
   */
  gradient(dy: tf.Tensor, averages: Float64Array, normalised: Normalised): tf.Tensor;

  /** Both passes where all images are in x: nothing is read from the device. Statistics may differ from the halves'. */
  whole: {
    /** `moments` are the means, then the unbiased variances, in one tensor or in two. */
    normalise(call: BatchNormCall): { y: tf.Tensor; statistics: tf.Tensor[]; moments: tf.Tensor[] };
    gradient(dy: tf.Tensor, normalised: Normalised): BatchNormGradients;
  };
}
