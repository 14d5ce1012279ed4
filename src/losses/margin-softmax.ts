import { tf } from '../tf/deferred.js';
import type { Tensor, Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { classBalance } from './class-balance.js';
import { crossEntropy, crossEntropySlope, oneHot } from './cross-entropy.js';
import type { Loss, LossContext } from './loss.js';
import { meanOverImages, type RowTerms } from './mean-over-images.js';
import { throughNorm, unitRows } from './rows.js';

/** phi, which replaces the cosine to the own class, and phi', [b, 1]. */
export type Margin = (cosine: Tensor) => { value: Tensor; slope: Tensor };

export const scaleSchema = z.number().positive().describe('s: cosines are multiplied by it');

/** A loss of scaled cosines with a margin on the own class, the mean over the images of all ranks. */
export function createMarginSoftmax(
  { scale, balance }: { scale: number; balance: number },
  margin: Margin,
  context: LossContext,
): Loss {
  const weigh = classBalance({ balance }, context);
  return meanOverImages(context.communicator, (features, labels, [rows]) =>
    marginSoftmaxTerms(features, labels, rows as Tensor2D, { scale, margin, weights: weigh(labels) }),
  );
}

/**
 * Cross-entropy of scaled cosines with a margin on the own class: AM-Softmax and ArcFace, which differ in phi.
 *
 *     logits L    s phi(c) on the own class, s c on the others,  c = zhat What^T
 *     gradients   dL = softmax(L) - onehot,  dc = s dL (times phi' on the own class)
 *                 dzhat = dc What,  dWhat = dc^T zhat,  then through the norms
 *
 * Vectors of norm 0 have cosine 0 to everything and gradient 0. `features` [b, d], `classRows` [k, d]; rows need not have
 * unit length. Gradients are those of the features and of the class rows.
 */
export function marginSoftmaxTerms(
  features: Tensor2D,
  labels: Int32Array,
  classRows: Tensor2D,
  { scale, margin, weights }: { scale: number; margin: Margin; weights?: Tensor },
): RowTerms {
  const own = oneHot(labels, classRows.shape[0]);
  const rows = unitRows(features);
  const classes = unitRows(classRows);
  const cosines = tf.matMul(rows.unit, classes.unit, false, true);
  const ownCosine = tf.sum(tf.mul(cosines, own), 1, true);
  const { value, slope } = margin(ownCosine);
  const logits: Tensor2D = tf.mul(tf.add(cosines, tf.mul(own, tf.sub(value, ownCosine))), scale);
  return {
    sum: crossEntropy(logits, own, weights),
    gradients: () => {
      const ownSlope = tf.add(1, tf.mul(own, tf.sub(slope, 1)));
      const cosineSlope: Tensor2D = tf.mul(tf.mul(crossEntropySlope(logits, own, weights), ownSlope), scale);
      return [
        throughNorm(tf.matMul(cosineSlope, classes.unit), rows),
        throughNorm(tf.matMul(cosineSlope, rows.unit, true, false), classes),
      ];
    },
  };
}
