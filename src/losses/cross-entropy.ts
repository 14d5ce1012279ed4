import { tf } from '../tf/deferred.js';
import type { Scalar, Tensor2D } from '../tf/index.js';
import { labelTensor } from './inputs.js';

/** Sum over rows of log sum_j exp(L_j) - L_y, of logits [b, k]; `own` is one-hot. */
export function crossEntropy(logits: Tensor2D, own: Tensor2D): Scalar {
  return tf.sum(tf.sub(tf.logSumExp(logits, 1), tf.sum(tf.mul(logits, own), 1)));
}

/** The gradient of `crossEntropy` with respect to the logits. */
export function crossEntropySlope(logits: Tensor2D, own: Tensor2D): Tensor2D {
  return tf.sub(tf.softmax(logits), own);
}

export function oneHot(labels: Int32Array, classes: number): Tensor2D {
  const rows = tf.oneHot(labelTensor(labels), classes) as Tensor2D;
  return tf.cast<Tensor2D>(rows, 'float32');
}
