import { tf } from '../tf/deferred.js';
import type { GradSaveFunc, Tensor, Tensor2D } from '../tf/index.js';
import { throughNorm, unitRows } from './rows.js';

/** Rows whose largest number is below this are scaled up first: their squares would vanish in single precision. */
const small = 1e-12;
const upscale = 1e20;

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
  return tf.matMul(directions(features), centroids, false, true);
}

/** The rows, scaled to unit length, differentiable; rows of norm 0 stay 0, with gradient 0. */
function directions(features: Tensor2D): Tensor2D {
  const operation = tf.customGrad((...inputs: (Tensor | GradSaveFunc)[]) => {
    const [rows, save] = inputs as [Tensor2D, GradSaveFunc];
    const largest = tf.max(tf.abs(rows), 1, true);
    const scale = tf.where(tf.less(largest, small), tf.fill(largest.shape, upscale), tf.onesLike(largest));
    const { unit, inverseNorm } = unitRows(tf.mul(rows, scale));
    const slope = tf.mul(inverseNorm, scale);
    save([unit, slope]);
    const gradFunc = (dy: Tensor, [unit, inverseNorm]: Tensor[]) =>
      throughNorm(dy, { unit: unit as Tensor2D, inverseNorm });
    return { value: unit, gradFunc };
  });
  return operation(features) as Tensor2D;
}
