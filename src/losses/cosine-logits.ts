import { tf } from '../tf/deferred.js';
import type { Tensor2D } from '../tf/index.js';

/**
 * Cosines between features [B, d] and centroids [k, d] (unit rows), [B, k]; differentiable in `features`. Features
 * of norm 0 have cosine 0 to every centroid.
 */
export function cosineLogits(features: Tensor2D, centroids: Tensor2D): Tensor2D {
  const norms = tf.sqrt(tf.add(tf.sum(tf.square(features), 1, true), 1e-24));
  return tf.matMul(tf.div(features, norms), centroids, false, true);
}
