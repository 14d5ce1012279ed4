import * as tf from '../../src/tf/index.js';

/** POD Loss of one batch, written from its definition for automatic differentiation; no row may have norm 0. */
export function writtenPodLoss(
  features: tf.Tensor2D,
  own: tf.Tensor2D,
  { delta, lambda = 1 }: { delta: number; lambda?: number },
): { nac: tf.Scalar; sc: tf.Scalar; loss: tf.Scalar } {
  const [batch, dim] = features.shape;
  const squares = tf.sum(tf.square(features), 1, true);
  const cosine = tf.div(tf.sum(tf.mul(features, own), 1, true), tf.sqrt(tf.add(squares, delta ** 2)));
  const nac = tf.mean(tf.square(tf.sub(1, cosine))) as tf.Scalar;
  const residuals = tf.sub(tf.div(features, tf.sqrt(squares)), own);
  const correlation = tf.div(tf.matMul(residuals, residuals, true), Math.max(batch - 1, 1));
  const off = tf.mul(correlation, tf.sub(1, tf.eye(dim)));
  const sc = tf.mul(tf.sum(tf.square(off)), batch > 1 ? 1 / (dim - 1) : 0) as tf.Scalar;
  return { nac, sc, loss: tf.add(nac, tf.mul(sc, lambda)) };
}
