import * as tf from '../tf/index.js';
import { ownCentroids, type Labels } from './inputs.js';
import { globalGradient, localTerms, selfCorrelationValue } from './terms.js';

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
 */
export function podLoss(
  features: tf.Tensor2D,
  centroids: tf.Tensor2D,
  labels: Labels,
  { delta, lambda = 1 }: PodLossOptions,
): tf.Scalar {
  return weighted(features, centroids, labels, { delta, nacWeight: 1, scWeight: lambda });
}

/**
 * Norm-adaptive cosine loss: the mean over rows of (1 - z . W_y / sqrt(|z|^2 + delta^2))^2 (arXiv 2111.15449,
 * equation 4). Parameters as in `podLoss`.
 */
export function normAdaptiveCosineLoss(
  features: tf.Tensor2D,
  centroids: tf.Tensor2D,
  labels: Labels,
  delta: number,
): tf.Scalar {
  return weighted(features, centroids, labels, { delta, nacWeight: 1, scWeight: 0 });
}

/**
 * Self-correlation loss: with u = z/|z| - W_y and C = sum u u^T / (B - 1), the sum of squares off C's diagonal,
 * divided by d - 1 (arXiv 2111.15449, equation 7); 0 for B = 1. Parameters as in `podLoss`.
 */
export function selfCorrelationLoss(
  features: tf.Tensor2D,
  centroids: tf.Tensor2D,
  labels: Labels,
): tf.Scalar {
  return weighted(features, centroids, labels, { delta: 0, nacWeight: 0, scWeight: 1 });
}

interface Weights {
  delta: number;
  nacWeight: 0 | 1;
  scWeight: number;
}

function weighted(
  features: tf.Tensor2D,
  centroids: tf.Tensor2D,
  labels: Labels,
  weights: Weights,
): tf.Scalar {
  const { delta, nacWeight, scWeight } = weights;
  const own = ownCentroids(features, centroids, labels);
  const operation = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [z, save] = inputs as [tf.Tensor2D, tf.GradSaveFunc];
    const [batch, dim] = z.shape;
    const { nacSum, residuals } = localTerms(z, own, delta);
    const correlation =
      batch > 1 && scWeight > 0
        ? (tf.div(tf.matMul(residuals, residuals, true, false), batch - 1) as tf.Tensor2D)
        : undefined;
    const nac = tf.mul(nacSum, nacWeight / batch);
    const value = correlation ? tf.add(nac, tf.mul(selfCorrelationValue(correlation, dim), scWeight)) : nac;
    save(correlation ? [z, own, correlation] : [z, own]);
    const gradFunc = (dy: tf.Scalar, saved: tf.Tensor[]) => {
      const [features, own, correlation] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D | undefined];
      const terms = { features, own, delta, batch };
      const whole = globalGradient({ ...terms, lambda: scWeight, correlation });
      const gradient = nacWeight === 1 ? whole : tf.sub(whole, globalGradient({ ...terms, lambda: 0 }));
      return tf.mul(gradient, dy);
    };
    return { value: value as tf.Scalar, gradFunc };
  });
  return operation(features);
}
