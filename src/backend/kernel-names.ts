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
   * Passes of a batch norm to whose result a residual may be added, with ReLU after that where {activation} is `relu`: y is
   * the output, g is dy where the ReLU lets it through. With `channelSums`, instead of all the others. A `residual` calls
   * for y in the gradients with ReLU, which then give g, the residual's gradient.
   *
   * {x, gamma, beta, statistics: [mean, 1 / sqrt(variance + epsilon)], residual?}, {activation} → y.
   */
  normalise: 'BatchNormNormalise',
  /** {dy, x, gamma, beta, statistics, y?}, {activation} → [[sum g, sum g xhat] as `channelSums` gives its sums, g?]. */
  normaliseSums: 'BatchNormNormaliseSums',
  /** {dy, x, gamma, beta, statistics, averages: [of g, of g xhat]}, {activation} → dx. */
  normaliseGradient: 'BatchNormNormaliseGrad',
  /** {x, gamma, beta, residual?}, {epsilon, activation} → [y, statistics, [mean, variance M / (M - 1)]]. */
  wholeNormalise: 'BatchNormWhole',
  /** {dy, x, gamma, beta, statistics, y?}, {activation} → [dx, dgamma, dbeta, g?]. */
  wholeNormaliseGradient: 'BatchNormWholeGrad',
} as const;
