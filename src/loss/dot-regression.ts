import * as tf from '../tf/index.js';
import { throughNorm, unitRows } from './classification.js';

/**
 * Dot-regression loss on a fixed simplex (arXiv 2203.09081, equation 8, with unit centroids and features of unit
 * norm): the sum over rows of (zhat . W_y - 1)^2 / 2, and its gradient with respect to the features.
 *
 * `features` [b, d]; `own` [b, d]: the centroid of each row's class, unit rows.
 */
export function dotRegression(features: tf.Tensor2D, own: tf.Tensor2D) {
  const z = unitRows(features);
  const miss = tf.sub(tf.sum(tf.mul(z.unit, own), 1, true), 1);
  return {
    sum: tf.div(tf.sum(tf.square(miss)), 2) as tf.Scalar,
    gradient: () => throughNorm(tf.mul(own, miss), z),
  };
}
