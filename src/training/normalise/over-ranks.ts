import * as tf from '@tensorflow/tfjs';
import { batchNormInputGradient, batchNormSums } from '../../backend/batch-norm.js';
import { countOf, globalMoments, vector } from './global-sums.js';
import type { NormaliseOptions, Pass } from './pass.js';

/** Over several ranks: with the operations that every backend has. */
export function overRanks(options: NormaliseOptions): Pass {
  const { epsilon, activation, share, reduce = () => {} } = options;
  return {
    forward(x, gamma, beta) {
      const { means, variances } = globalMoments(x, options);
      const [mean, variance] = [vector(means), vector(variances)];
      const y = tf.batchNorm(
        x as tf.Tensor4D,
        mean,
        variance,
        beta as tf.Tensor1D,
        gamma as tf.Tensor1D,
        epsilon,
      );
      return { y: activation === 'relu' ? tf.relu(y) : y, saved: [x, gamma, mean, variance] };
    },
    backward(dy, [x, gamma, mean, variance]) {
      const channels = gamma.size;
      const own = batchNormSums(dy, { x, gamma, mean, variance, epsilon });
      const { sumDyXhat, sumDy } = own;
      const sums = new Float64Array(2 * channels);
      if (share.local > 0) {
        sums.set(sumDy.dataSync<'float32'>(), 0);
        sums.set(sumDyXhat.dataSync<'float32'>(), channels);
      }
      reduce(sums, 'backward');
      if (share.local === 0) return [tf.zerosLike(x), tf.zerosLike(sumDy), tf.zerosLike(sumDy)];
      const averages = sums.map((sum) => sum / countOf(options, x));
      const dx = batchNormInputGradient(
        own,
        vector(averages.subarray(channels)),
        vector(averages.subarray(0, channels)),
      );
      return [dx, sumDyXhat, sumDy];
    },
  };
}
