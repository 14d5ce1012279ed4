import { tf } from '../tf/deferred.js';
import type { Scalar, Tensor, Tensor2D } from '../tf/index.js';
import { labelTensor } from './inputs.js';

/** A loss of logits [b, k], summed over the rows, and its gradient with respect to them. */
export interface LogitTerms {
  sum: Scalar;
  slope(): Tensor2D;
}

/**
 * Sum over rows of log sum_j exp(L_j) - sum_j T_j L_j, of logits [b, k] and targets T [b, k], whose rows sum to 1, such as
 * one-hot; with `weights` [b, 1] of the rows.
 */
export function crossEntropy(logits: Tensor2D, targets: Tensor2D, weights?: Tensor): Scalar {
  const rows = tf.sub(tf.logSumExp(logits, 1), tf.sum(tf.mul(logits, targets), 1));
  return tf.sum(weights ? tf.mul(rows, tf.squeeze(weights, [1])) : rows);
}

/** The gradient of `crossEntropy` with respect to the logits. */
export function crossEntropySlope(logits: Tensor2D, targets: Tensor2D, weights?: Tensor): Tensor2D {
  const slope = tf.sub<Tensor2D>(tf.softmax(logits), targets);
  return weights ? tf.mul(slope, weights) : slope;
}

export function crossEntropyTerms(logits: Tensor2D, targets: Tensor2D, weights?: Tensor): LogitTerms {
  return {
    sum: crossEntropy(logits, targets, weights),
    slope: () => crossEntropySlope(logits, targets, weights),
  };
}

export function oneHot(labels: Int32Array, classes: number): Tensor2D {
  const rows = tf.oneHot(labelTensor(labels), classes) as Tensor2D;
  return tf.cast<Tensor2D>(rows, 'float32');
}
