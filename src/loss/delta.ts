import * as tf from '../tf/index.js';

/** Which norm delta follows: of the logits W z, as the authors' code does, or of the features z. */
export type NormSource = 'logits' | 'features';

/**
 * Sum over the rows of features [b, d] of the Euclidean norm of their logits or of themselves; a scalar.
 *
 * Where `wholeBases` orthonormal bases are among the classes besides `centroids`, each of them adds |z|^2 to a row's
 * squared norm of logits (Parseval), and need not be there.
 */
export function normSum(
  features: tf.Tensor2D,
  centroids: tf.Tensor2D,
  source: NormSource,
  wholeBases = 0,
): tf.Scalar {
  const own = tf.sum(tf.square(features), 1);
  if (source === 'features') return tf.sum(tf.sqrt(own));
  const bases = tf.mul(own, wholeBases);
  if (centroids.shape[0] === 0) return tf.sum(tf.sqrt(bases));
  const rest = tf.sum(tf.square(tf.matMul(features, centroids, false, true)), 1);
  return tf.sum(tf.sqrt(wholeBases > 0 ? tf.add(rest, bases) : rest));
}

/** delta of the epoch after `epoch` (from 0): scale (epoch + 1) times the mean norm over the epoch's images. */
export function nextDelta({
  epoch,
  meanNorm,
  scale,
}: {
  epoch: number;
  meanNorm: number;
  scale: number;
}): number {
  return scale * (epoch + 1) * meanNorm;
}
