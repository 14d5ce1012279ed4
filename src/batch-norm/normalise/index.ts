import * as tf from '../../tf/index.js';
import { hasNormalisePasses } from '../../backend/batch-norm.js';
import { addThen, reluGradient } from '../../backend/operations.js';
import { alone, whole } from './alone.js';
import { inHalves } from './in-halves.js';
import { overRanks } from './over-ranks.js';
import type { NormaliseOptions, Pass } from './pass.js';

export type { BatchShare, NormaliseOptions, Statistic } from './pass.js';

/**
 * Batch normalisation of x [b, height, width, channels] in training, with sums over images on other ranks.
 *
 * With M = counted images x height x width, and sums over all of them:
 *
 *     forward    mean = sum x / M      var = sum x^2 / M - mean^2      y = gamma xhat + beta
 *     backward   dx = gamma / sqrt(var + eps) (dy - sum dy / M - xhat sum(dy xhat) / M)
 *
 * Each pass reduces 2 x channels float64 numbers in the middle of the gradient tape; sums of squares are formed in
 * double precision, so nothing cancels. The gradients of gamma and beta stay sums over this rank's images, since
 * parameter gradients are added up over the ranks later. Where nothing is to be reduced, each pass is one operation; else
 * there is one for what comes before the reduction and one for what comes after it. A residual and a ReLU that follow are
 * part of both: y = max(0, y + residual), and dy counts where y is positive. Backends without such operations compose the
 * same from what they have.
 *
 * A rank without images adds nothing to the sums and gets dx = 0 for its placeholder.
 */
export function normalise(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  options: NormaliseOptions,
): tf.Tensor {
  const { reduce, share, residual, activation = 'linear' } = options;
  const sharing = reduce !== undefined || share.local === 0;
  if (hasNormalisePasses())
    return onTape(sharing ? inHalves(options) : whole(options), x, gamma, beta, residual);
  if (residual)
    return addThen(
      activation,
      normalise(x, gamma, beta, { ...options, residual: undefined, activation: 'linear' }),
      residual,
    );
  const pass = sharing ? overRanks(options) : alone(options);
  return onTape(activation === 'relu' ? rectified(pass) : pass, x, gamma, beta);
}

function onTape(
  pass: Pass,
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  residual?: tf.Tensor,
): tf.Tensor {
  const operation = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const save = inputs.pop() as tf.GradSaveFunc;
    const [x, gamma, beta, residual] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor?];
    const { y, saved } = pass.forward(x, gamma, beta, residual);
    save(saved);
    return { value: y, gradFunc: (dy: tf.Tensor, tensors: tf.Tensor[]) => pass.backward(dy, tensors) };
  });
  return residual ? operation(x, gamma, beta, residual) : operation(x, gamma, beta);
}

/** A pass whose result is rectified already, with the gradient of that. */
function rectified({ forward, backward }: Pass): Pass {
  return {
    forward(x, gamma, beta) {
      const { y, saved } = forward(x, gamma, beta);
      return { y, saved: [...saved, y] };
    },
    backward(dy, saved) {
      const inner = reluGradient(dy, saved[saved.length - 1]);
      const gradients = backward(inner, saved.slice(0, -1));
      inner.dispose();
      return gradients;
    },
  };
}
