import { tf } from '../tf/deferred.js';
import type { Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { crossEntropyTerms, oneHot, type LogitTerms } from './cross-entropy.js';
import { defineLoss } from './loss.js';
import { meanOverImages } from './mean-over-images.js';
import { softmaxTerms } from './softmax.js';

/** Logits of the own class are lowered by this much where the others are compared. */
const out = 1e9;

/**
 * Complement objective training (COT, arXiv 1903.01182): softmax cross-entropy, and the wrong classes made alike: the mean
 * over the images of all ranks.
 *
 *     q           softmax over the classes but the own one
 *     complement  sum_j q_j log q_j / (k - 1),  minus the entropy of q, as the paper's equation 3 normalises it
 *     gradient    q_j (log q_j - sum_i q_i log q_i) / (k - 1),  0 for the own class
 *
 * Both are minimised in one step, by the sum of their gradients; the published code makes a step of each in turn.
 */
export const cot = defineLoss({
  name: 'cot',
  schema: z.strictObject({
    name: z.literal('cot'),
    weight: z.number().min(0).default(1).describe('of the complement objective'),
  }),
  classWeights: { bias: true },
  graphs: true,
  create: ({ weight }, { communicator }) =>
    meanOverImages(communicator, (features, labels, classWeights) =>
      softmaxTerms(features, classWeights, (logits) => {
        const own = oneHot(labels, logits.shape[1]);
        return sumOf(crossEntropyTerms(logits, own), complementTerms(logits, own, weight));
      }),
    ),
});

function complementTerms(logits: Tensor2D, own: Tensor2D, weight: number): LogitTerms {
  const factor = weight / Math.max(logits.shape[1] - 1, 1);
  const others = tf.sub(logits, tf.mul(own, out));
  const logs = tf.mul(tf.logSoftmax(others), tf.sub(1, own));
  const shares = tf.mul(tf.softmax(others), tf.sub(1, own));
  const negativeEntropy = tf.sum(tf.mul(shares, logs), 1, true);
  return {
    sum: tf.mul(tf.sum(negativeEntropy), factor),
    slope: () => tf.mul(tf.mul(shares, tf.sub(logs, negativeEntropy)), factor),
  };
}

function sumOf(a: LogitTerms, b: LogitTerms): LogitTerms {
  return { sum: tf.add(a.sum, b.sum), slope: () => tf.add(a.slope(), b.slope()) };
}
