import type * as tf from '../tf/index.js';
import { LocalCommunicator } from '../collective/local-communicator.js';
import { applyLoss } from './differentiable.js';
import { checkLabels, type Labels } from './inputs.js';
import { PodLoss } from './pod.js';
import { matrixTargets } from './targets.js';

/** Options of `podLoss`. */
export interface PodLossOptions {
  /** delta of the norm-adaptive cosine. */
  delta: number;
  /** Weight of the self-correlation loss; default 1. */
  lambda?: number;
}

/**
 * POD Loss = NAC + lambda SC (arXiv 2111.15449): a scalar, differentiable in `features`.
 *
 * @param features [B, d]
 * @param centroids [k, d], unit rows; constants
 * @param labels [B], classes 0 to k - 1
 * @throws UserError for shapes that do not fit or a label that is no class
 * @example
 * import { generateCentroids, initBackend, podLoss } from 'pod-dist';
 *
 * const { tf } = await initBackend('cpu');
 * const { values } = generateCentroids({ classes: 3, dim: 4, seed: 1 });
 * const centroids = tf.tensor2d(values, [3, 4]);
 * const features = tf.randomNormal<import('@tensorflow/tfjs-core').Rank.R2>([2, 4]);
 * const loss = podLoss(features, centroids, [0, 2], { delta: 0.05, lambda: 1 });
 * console.log(await loss.data());
 */
export function podLoss(
  features: tf.Tensor2D,
  centroids: tf.Tensor2D,
  labels: Labels,
  { delta, lambda = 1 }: PodLossOptions,
): tf.Scalar {
  return onOneRank(features, centroids, labels, { delta, nacWeight: 1, lambda });
}

/**
 * Norm-adaptive cosine loss: the mean over rows of (1 - z . W_y / sqrt(|z|^2 + delta^2))^2 (arXiv 2111.15449,
 * equation 4): a scalar. Parameters and errors as in `podLoss`.
 *
 * @example
 * import { initBackend, normAdaptiveCosineLoss } from 'pod-dist';
 *
 * const { tf } = await initBackend('cpu');
 * const centroids = tf.tensor2d([1, 0, 0, 1], [2, 2]);
 * const loss = normAdaptiveCosineLoss(tf.tensor2d([3, 4], [1, 2]), centroids, [1], 0);
 * console.log(await loss.data()); // (1 - 4/5)^2 = 0.04
 */
export function normAdaptiveCosineLoss(
  features: tf.Tensor2D,
  centroids: tf.Tensor2D,
  labels: Labels,
  delta: number,
): tf.Scalar {
  return onOneRank(features, centroids, labels, { delta, nacWeight: 1, lambda: 0 });
}

/**
 * Self-correlation loss: with u = z/|z| - W_y and C = sum u u^T / (B - 1), the sum of squares off C's diagonal,
 * divided by d - 1 (arXiv 2111.15449, equation 7): a scalar; 0 for B = 1. Parameters and errors as in `podLoss`.
 *
 * @example
 * import { initBackend, selfCorrelationLoss } from 'pod-dist';
 *
 * const { tf } = await initBackend('cpu');
 * const centroids = tf.tensor2d([1, 0, 0, 1], [2, 2]);
 * const loss = selfCorrelationLoss(tf.tensor2d([3, 4, 1, 2], [2, 2]), centroids, [0, 1]);
 * console.log(await loss.data());
 */
export function selfCorrelationLoss(
  features: tf.Tensor2D,
  centroids: tf.Tensor2D,
  labels: Labels,
): tf.Scalar {
  return onOneRank(features, centroids, labels, { delta: 0, nacWeight: 0, lambda: 1 });
}

/** The loss of a run with one worker. */
function onOneRank(
  features: tf.Tensor2D,
  centroids: tf.Tensor2D,
  labels: Labels,
  { delta, nacWeight, lambda }: Required<PodLossOptions> & { nacWeight: 0 | 1 },
): tf.Scalar {
  const own = checkLabels(features, centroids, labels);
  const context = { communicator: new LocalCommunicator(), targets: matrixTargets(centroids) };
  const fixed = { schedule: 'fixed', initial: delta, scale: 0, source: 'features' } as const;
  const loss = new PodLoss({ lambda, sc: 'global', delta: fixed }, context, nacWeight);
  return applyLoss(loss, { features }, { labels: own, counts: [own.length] }, { isRoot: false }).loss;
}
