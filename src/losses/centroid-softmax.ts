import { tf } from '../tf/deferred.js';
import type { Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { balanceSetting, classBalance } from './class-balance.js';
import { crossEntropyTerms, oneHot } from './cross-entropy.js';
import { defineLoss } from './loss.js';
import { meanOverImages } from './mean-over-images.js';
import { matrixOf } from './targets.js';

/**
 * Softmax cross-entropy on fixed centroids, "maximum class separation as inductive bias in one matrix" (arXiv 2206.08704):
 * the mean over the images of all ranks.
 *
 *     logits L    s z W^T with the fixed unit rows W; features keep their lengths
 *     gradient    dz = s (softmax(L) - onehot) W
 */
export const centroidSoftmax = defineLoss({
  name: 'centroid-softmax',
  schema: z.strictObject({
    name: z.literal('centroid-softmax'),
    scale: z.number().positive().default(1).describe('s: inner products are multiplied by it'),
    ...balanceSetting,
  }),
  graphs: true,
  mixed: true,
  create: ({ scale, balance }, context) => {
    const centroids = matrixOf(context.targets);
    const weigh = classBalance({ balance }, context);
    const loss = meanOverImages(context.communicator, (features, labels) => {
      const logits: Tensor2D = tf.mul(tf.matMul(features, centroids, false, true), scale);
      const { sum, slope } = crossEntropyTerms(logits, oneHot(labels, centroids.shape[0]), weigh(labels));
      return { sum, gradients: () => [tf.mul(tf.matMul(slope(), centroids), scale)] };
    });
    return { ...loss, dispose: () => centroids.dispose() };
  },
});
