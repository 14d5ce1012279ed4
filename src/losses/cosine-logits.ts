import { tf } from '../tf/deferred.js';
import type { Tensor2D } from '../tf/index.js';

/**
 * Cosines between features [B, d] and centroids [k, d] (unit rows), [B, k]; differentiable in `features`. Features
 * of norm 0 have cosine 0 to every centroid.
 *
 * @example
 * import { cosineLogits, initBackend } from 'pod-dist';
 *
 * const { tf } = await initBackend('cpu');
 * const cosines = cosineLogits(tf.tensor2d([3, 4], [1, 2]), tf.tensor2d([1, 0, 0, 1], [2, 2]));
 * console.log(await cosines.data()); // 0.6, 0.8
 */
export function cosineLogits(features: Tensor2D, centroids: Tensor2D): Tensor2D {
  const norms = tf.sqrt(tf.add(tf.sum(tf.square(features), 1, true), 1e-24));
  return tf.matMul(tf.div(features, norms), centroids, false, true);
}
