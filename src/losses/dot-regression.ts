import { tf } from '../tf/deferred.js';
import type { Scalar, Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { defineLoss } from './loss.js';
import { meanOverImages, type RowTerms } from './mean-over-images.js';
import { throughNorm, unitRows } from './rows.js';

/** Dot-regression on fixed centroids (arXiv 2203.09081): the mean over the images of all ranks. */
export const dotRegression = defineLoss({
  name: 'dot-regression',
  schema: z.strictObject({ name: z.literal('dot-regression') }),
  graphs: true,
  mixed: true,
  create: (_config, { communicator, targets }) =>
    meanOverImages(communicator, (features, labels) => dotRegressionTerms(features, targets.own(labels))),
});

/**
 * The sum over rows of (zhat . W_y - 1)^2 / 2 (equation 8, with unit centroids and features of unit norm), and its gradient
 * with respect to the features.
 *
 * `features` [b, d]; `own` [b, d]: the centroid of each row's class, unit rows.
 */
export function dotRegressionTerms(features: Tensor2D, own: Tensor2D): RowTerms {
  const rows = unitRows(features);
  const miss = tf.sub(tf.sum(tf.mul(rows.unit, own), 1, true), 1);
  return {
    sum: tf.div(tf.sum(tf.square(miss)), 2) as Scalar,
    gradients: () => [throughNorm(tf.mul(own, miss), rows)],
  };
}
