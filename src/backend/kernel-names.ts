/**
 * Kernels for training that a backend may register beyond tfjs's own. `operations.ts` uses them where they are there
 * and composes the same from tfjs's kernels where they are not. Tensors x, y, dy are [..., channels]; the others
 * [channels]; M is the number of values a channel has, xhat = (x - mean) / sqrt(variance + epsilon).
 */
export const trainingKernels = {
  /** {dy, y} → dy where y > 0, else 0. */
  reluGradient: 'ReluGrad',
  /** {x, gamma, beta}, {epsilon} → [gamma xhat + beta, mean, variance M / (M - 1), saved1, saved2, saved3]. */
  batchNorm: 'BatchNormTraining',
  /** The same with ReLU after it; its gradient is `reluGradient`, then `batchNormGradient`. */
  batchNormRelu: 'BatchNormReluTraining',
  /** {dy, x, gamma, saved1, saved2, saved3}, {epsilon} → [dx, dgamma, dbeta]. */
  batchNormGradient: 'BatchNormTrainingGrad',
  /** {x} → [mean, variance]. */
  moments: 'BatchNormMoments',
  /** {x} → [sum of x, sum of x^2] as float64, in a float32 tensor [4 channels] of the same bytes; in place of `moments`. */
  channelSums: 'BatchNormChannelSums',
  /** {dy, x, gamma, mean, variance}, {epsilon} → [sum dy xhat, sum dy, dy gamma / sqrt(variance + epsilon)]. */
  batchNormSums: 'BatchNormGradSums',
  /**
   * Passes of a batch norm with ReLU where {activation} is `relu`; g is dy where the ReLU's output is positive. With
   * `channelSums`, instead of all the others.
   *
   * {x, gamma, beta, statistics: [mean, 1 / sqrt(variance + epsilon)]}, {activation} → gamma xhat + beta, or max(0, that).
   */
  normalise: 'BatchNormNormalise',
  /** {dy, x, gamma, beta, statistics}, {activation} → [sum g, sum g xhat] as `channelSums` gives its sums. */
  normaliseSums: 'BatchNormNormaliseSums',
  /** {dy, x, gamma, beta, statistics, averages: [of g, of g xhat]}, {activation} → dx. */
  normaliseGradient: 'BatchNormNormaliseGrad',
} as const;
