import * as tf from '@tensorflow/tfjs';

/** Which norm delta follows: of the logits W z, as the authors' code does, or of the features z. */
export type NormSource = 'logits' | 'features';

/** Sum over the rows of features [b, d] of the Euclidean norm of their logits or of themselves; a scalar. */
export function normSum(features: tf.Tensor2D, centroids: tf.Tensor2D, source: NormSource): tf.Scalar {
  const values = source === 'logits' ? tf.matMul(features, centroids, false, true) : features;
  return tf.sum(tf.sqrt(tf.sum(tf.square(values), 1)));
}

/** delta of the epoch after `epoch` (from 0): scale (epoch + 1) times the mean norm over the epoch's images. */
export function nextDelta({
  epoch,
  meanNorm,
  scale,
}: {
  epoch: number;
  meanNorm: number;
  scale: number;
}): number {
  return scale * (epoch + 1) * meanNorm;
}
