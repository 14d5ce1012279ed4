import { tf } from '../tf/deferred.js';
import type { Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { crossEntropyTerms, oneHot } from './cross-entropy.js';
import { defineLoss } from './loss.js';
import { meanOverImages } from './mean-over-images.js';
import { softmaxTerms } from './softmax.js';

/**
 * Softmax with center loss (Wen et al., ECCV 2016): cross-entropy on trained class weights plus weight |z - c_y|^2 / 2, with a
 * trained center c for each class: the mean over the images of all ranks.
 *
 * Centers are parameters, as in most later code: their gradient is that of the mean of |z - c_y|^2 / 2, not multiplied by
 * `weight`, so that they follow the features however small it is. (The paper moves each by the mean of its own images in the
 * batch.)
 */
export const centerLoss = defineLoss({
  name: 'center-loss',
  schema: z.strictObject({
    name: z.literal('center-loss'),
    weight: z.number().min(0).default(0.003).describe('of the squared distance to the center'),
  }),
  classWeights: { bias: true, centers: true },
  graphs: true,
  mixed: true,
  create: ({ weight }, { communicator }) =>
    meanOverImages(communicator, (features, labels, [rows, bias, given]) => {
      const centers = given as Tensor2D;
      const own = oneHot(labels, centers.shape[0]);
      const entropy = softmaxTerms(features, [rows, bias], (logits) => crossEntropyTerms(logits, own));
      const distance: Tensor2D = tf.sub(features, tf.matMul(own, centers));
      return {
        sum: tf.add(entropy.sum, tf.mul(tf.sum(tf.square(distance)), weight / 2)),
        gradients: () => {
          const [ofFeatures, ...ofClasses] = entropy.gradients();
          const pull = tf.mul(distance, weight);
          return [tf.add(ofFeatures, pull), ...ofClasses, tf.neg(tf.matMul(own, distance, true, false))];
        },
      };
    }),
});
