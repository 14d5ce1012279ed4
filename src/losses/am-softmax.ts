import { tf } from '../tf/deferred.js';
import type { Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { balanceSetting, classBalance } from './class-balance.js';
import { defineLoss } from './loss.js';
import { marginSoftmaxTerms, scaleSchema, type Margin } from './margin-softmax.js';
import { meanOverImages } from './mean-over-images.js';

/**
 * AM-Softmax (arXiv 1801.05599), also CosFace (arXiv 1801.09414): cross-entropy of s (cos - m) on the own class and s cos
 * on the others, the mean over the images of all ranks, on class weights that are trained.
 */
export const amSoftmax = defineLoss({
  name: 'am-softmax',
  schema: z.strictObject({
    name: z.literal('am-softmax'),
    scale: scaleSchema.default(30),
    margin: z.number().min(0).default(0.35).describe('m: taken from the cosine of the own class'),
    ...balanceSetting,
  }),
  classWeights: { bias: false },
  graphs: true,
  create: ({ scale, margin, balance }, context) => {
    const weigh = classBalance({ balance }, context);
    return meanOverImages(context.communicator, (features, labels, [rows]) =>
      marginSoftmaxTerms(features, labels, rows as Tensor2D, {
        scale,
        margin: cosineMargin(margin),
        weights: weigh(labels),
      }),
    );
  },
});

/** phi(c) = c - m. */
export function cosineMargin(margin: number): Margin {
  return (cosine) => ({ value: tf.sub(cosine, margin), slope: tf.onesLike(cosine) });
}
