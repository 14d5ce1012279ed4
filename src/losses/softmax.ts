import { tf } from '../tf/deferred.js';
import type { Tensor, Tensor1D, Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { crossEntropy, crossEntropySlope, oneHot } from './cross-entropy.js';
import { defineLoss } from './loss.js';
import { meanOverImages, type RowTerms } from './mean-over-images.js';

/**
 * Softmax cross-entropy on trained class weights: the mean over the images of all ranks.
 *
 *     logits L    z W^T + bias
 *     gradients   dL = softmax(L) - onehot,  dz = dL W,  dW = dL^T z,  dbias = sum over rows of dL
 */
export const softmax = defineLoss({
  name: 'softmax',
  schema: z.strictObject({ name: z.literal('softmax') }),
  classWeights: { bias: true },
  graphs: true,
  create: (_config, { communicator }) => meanOverImages(communicator, softmaxTerms),
});

/** `features` [b, d]; class weights: rows [k, d], and a bias [k]. */
export function softmaxTerms(
  features: Tensor2D,
  labels: Int32Array,
  classWeights: readonly Tensor[],
): RowTerms {
  const [rows, bias] = classWeights as [Tensor2D, Tensor1D];
  const own = oneHot(labels, rows.shape[0]);
  const logits: Tensor2D = tf.add(tf.matMul(features, rows, false, true), bias);
  return {
    sum: crossEntropy(logits, own),
    gradients: () => {
      const slope = crossEntropySlope(logits, own);
      return [tf.matMul(slope, rows), tf.matMul(slope, features, true, false), tf.sum(slope, 0)];
    },
  };
}
