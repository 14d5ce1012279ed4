import { tf } from '../tf/deferred.js';
import { z } from 'zod';
import { balanceSetting } from './class-balance.js';
import { defineLoss } from './loss.js';
import { createMarginSoftmax, scaleSchema, type Margin } from './margin-softmax.js';

/**
 * ArcFace (arXiv 1801.07698): cross-entropy of s cos(theta + m) on the own class and s cos on the others, the mean over the
 * images of all ranks, on class weights that are trained.
 */
export const arcFace = defineLoss({
  name: 'arcface',
  schema: z.strictObject({
    name: z.literal('arcface'),
    scale: scaleSchema.default(64),
    margin: z.number().min(0).max(3).default(0.5).describe('m: added to the angle to the own class, radians'),
    ...balanceSetting,
  }),
  classWeights: { bias: false },
  graphs: true,
  mixed: true,
  create: (config, context) => createMarginSoftmax(config, angleMargin(config.margin), context),
});

/**
 * phi(c) = cos(theta + m) = c cos m - sqrt(1 - c^2) sin m, with phi' = cos m + c sin m / sqrt(1 - c^2). Past
 * theta = pi - m, where cos(theta + m) would rise again, it goes on with phi(c) = c - m sin m.
 */
export function angleMargin(margin: number): Margin {
  return (cosine) => {
    const sine = tf.sqrt(tf.maximum(tf.sub(1, tf.square(cosine)), 1e-12));
    const inside = tf.greater(cosine, Math.cos(Math.PI - margin));
    const turned = tf.sub(tf.mul(cosine, Math.cos(margin)), tf.mul(sine, Math.sin(margin)));
    const turnedSlope = tf.add(Math.cos(margin), tf.mul(tf.div(cosine, sine), Math.sin(margin)));
    return {
      value: tf.where(inside, turned, tf.sub(cosine, margin * Math.sin(margin))),
      slope: tf.where(inside, turnedSlope, tf.onesLike(cosine)),
    };
  };
}
