import { tf } from '../tf/deferred.js';
import { z } from 'zod';
import { balanceSetting } from './class-balance.js';
import { defineLoss } from './loss.js';
import { createMarginSoftmax, scaleSchema, type Margin } from './margin-softmax.js';

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
  mixed: true,
  create: (config, context) => createMarginSoftmax(config, cosineMargin(config.margin), context),
});

/** phi(c) = c - m. */
export function cosineMargin(margin: number): Margin {
  return (cosine) => ({ value: tf.sub(cosine, margin), slope: tf.onesLike(cosine) });
}
