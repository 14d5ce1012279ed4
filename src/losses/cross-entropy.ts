import * as tf from '../tf/index.js';

/** Sum over rows of log sum_j exp(L_j) - L_y, of logits [b, k]; `own` is one-hot. */
export function crossEntropy(logits: tf.Tensor2D, own: tf.Tensor2D): tf.Scalar {
  return tf.sum(tf.sub(tf.logSumExp(logits, 1), tf.sum(tf.mul(logits, own), 1)));
}

/** The gradient of `crossEntropy` with respect to the logits. */
export function crossEntropySlope(logits: tf.Tensor2D, own: tf.Tensor2D): tf.Tensor2D {
  return tf.sub(tf.softmax(logits), own);
}

export function oneHot(labels: Int32Array, classes: number): tf.Tensor2D {
  const rows = tf.oneHot(tf.tensor1d(labels, 'int32'), classes) as tf.Tensor2D;
  return tf.cast<tf.Tensor2D>(rows, 'float32');
}
