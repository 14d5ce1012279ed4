import * as tf from '../../tf/index.js';
import {
  batchNorm,
  batchNormGradient,
  wholeNormalise,
  wholeNormaliseGradient,
} from '../../backend/batch-norm.js';
import type { NormaliseOptions, Pass } from './pass.js';

/** Where this rank's images are all: with the operations that every backend has. */
export function alone({ epsilon, activation, onStatistics }: NormaliseOptions): Pass {
  return {
    forward(x, gamma, beta) {
      const { y, mean, variance, saved } = batchNorm(x, gamma, beta, { epsilon, activation });
      onStatistics([tf.keep(mean), tf.keep(variance)]);
      return { y, saved: [x, gamma, ...saved] };
    },
    backward: (dy, [x, gamma, ...saved]) => batchNormGradient(dy, { x, gamma, saved, epsilon }),
  };
}

/** Where this rank's images are all: with an operation for a whole pass. */
export function whole({ epsilon, activation = 'linear', residual, onStatistics }: NormaliseOptions): Pass {
  const needed = residual !== undefined && activation === 'relu';
  return {
    forward(x, gamma, beta, residual) {
      const { y, statistics, moments } = wholeNormalise({ x, gamma, beta, activation }, epsilon, residual);
      onStatistics([tf.keep(moments)]);
      return { y, saved: [x, gamma, beta, statistics, ...(needed ? [y] : [])] };
    },
    backward(dy, [x, gamma, beta, statistics, y]) {
      const gradients = wholeNormaliseGradient(dy, { x, gamma, beta, statistics, activation }, y);
      return residual && !needed ? [...gradients, dy.clone()] : gradients;
    },
  };
}
