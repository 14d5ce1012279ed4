import type * as tf from '../../tf/index.js';
import type { Activation } from '../../backend/operations.js';
import type { Range } from '../../parallel/buckets.js';

/** The part of a batch that a rank holds, of which statistics are taken. */
export interface BatchShare {
  /** Images on this rank; 0 where it holds none and runs a placeholder image. */
  local: number;
  /** Images that the statistics are taken over. */
  counted: number;
  /** Those on this rank by logical shard; default: there is one. */
  rows?: readonly Range[];
}

export interface NormaliseOptions {
  epsilon: number;
  /** What follows the batch norm; default: nothing. */
  activation?: Activation;
  /** Added to the batch norm's result, before the activation; as large as x. */
  residual?: tf.Tensor;
  share: BatchShare;
  /** Adds `sums` up, in place, over the ranks whose images are counted; absent where this rank's are all. */
  reduce?(sums: Float64Array, pass: 'forward' | 'backward'): void;
  /** Told the means of the batch, then the unbiased variances, a number a channel each; tensors live on. */
  onStatistics(moments: readonly Statistic[]): void;
}

/** Numbers of channels one after another: what the running backend has at hand. */
export type Statistic = tf.Tensor | Float64Array;

/** A batch norm and what its gradient, dx, dgamma, dbeta and the residual's, is made of. */
export interface Pass {
  forward(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    residual?: tf.Tensor,
  ): { y: tf.Tensor; saved: tf.Tensor[] };
  backward(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[];
}
