import { tf } from '../tf/deferred.js';
import type { Tensor, Tensor1D, Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { balanceSetting, classBalance } from './class-balance.js';
import { crossEntropyTerms, oneHot, type LogitTerms } from './cross-entropy.js';
import { defineLoss } from './loss.js';
import { meanOverImages, type RowTerms } from './mean-over-images.js';

/**
 * Softmax cross-entropy on trained class weights: the mean over the images of all ranks.
 *
 *     logits L    z W^T + bias
 *     targets T   1 - e for the own class and e / k for every class more (label smoothing, arXiv 1512.00567)
 *     gradients   dL = softmax(L) - T,  dz = dL W,  dW = dL^T z,  dbias = sum over rows of dL
 */
export const softmax = defineLoss({
  name: 'softmax',
  schema: z.strictObject({
    name: z.literal('softmax'),
    smoothing: z
      .number()
      .min(0)
      .max(0.99)
      .default(0)
      .describe('e of label smoothing: the share of the target that all classes have alike'),
    ...balanceSetting,
  }),
  classWeights: { bias: true },
  graphs: true,
  mixed: true,
  create: ({ smoothing, balance }, context) => {
    const weigh = classBalance({ balance }, context);
    return meanOverImages(context.communicator, (features, labels, classWeights) =>
      softmaxTerms(features, classWeights, (logits) =>
        crossEntropyTerms(logits, smoothed(labels, logits.shape[1], smoothing), weigh(labels)),
      ),
    );
  },
});

/** Targets [b, k]: one-hot, mixed with the same for all classes. */
function smoothed(labels: Int32Array, classes: number, smoothing: number): Tensor2D {
  const own = oneHot(labels, classes);
  return smoothing === 0 ? own : tf.add(tf.mul(own, 1 - smoothing), smoothing / classes);
}

/**
 * What a loss of logits comes to for features and class weights.
 *
 * `features` [b, d]; class weights: rows [k, d], and a bias [k].
 */
export function softmaxTerms(
  features: Tensor2D,
  classWeights: readonly Tensor[],
  lossOf: (logits: Tensor2D) => LogitTerms,
): RowTerms {
  const [rows, bias] = classWeights as [Tensor2D, Tensor1D];
  const logits: Tensor2D = tf.add(tf.matMul(features, rows, false, true), bias);
  const { sum, slope } = lossOf(logits);
  return {
    sum,
    gradients: () => {
      const own = slope();
      return [tf.matMul(own, rows), tf.matMul(own, features, true, false), tf.sum(own, 0)];
    },
  };
}
