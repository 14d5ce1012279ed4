import * as tf from '../../tf/index.js';
import { batchNormInputGradient, batchNormSums } from '../../backend/batch-norm.js';
import { sumArrays } from '../../collective/pairwise.js';
import { join } from '../../models/parts.js';
import { countOf, globalMoments, vector } from './global-sums.js';
import { overShards } from './over-shards.js';
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
      const known = { x, gamma, mean, variance, epsilon };
      if (share.local === 0) {
        reduce(new Float64Array(2 * channels), 'backward');
        return [tf.zerosLike(x), tf.zerosLike(gamma), tf.zerosLike(gamma)];
      }
      const shards = overShards(share, [dy, x], ([dy, x]) => {
        const { sumDy, sumDyXhat, scaled } = batchNormSums(dy, { ...known, x });
        const own = new Float32Array(2 * channels);
        own.set(sumDy.dataSync<'float32'>(), 0);
        own.set(sumDyXhat.dataSync<'float32'>(), channels);
        return { own, scaled };
      });
      const own = sumArrays(shards.map((shard) => shard?.own));
      const sums = sumArrays(shards.map((shard) => shard && Float64Array.from(shard.own)));
      const [sumDy, sumDyXhat] = [vector(own.subarray(0, channels)), vector(own.subarray(channels))];
      reduce(sums, 'backward');
      const scaled = join(shards.map((shard) => shard?.scaled)) as tf.Tensor;
      const averages = sums.map((sum) => sum / countOf(options, x));
      const dx = batchNormInputGradient(
        { ...known, sumDy, sumDyXhat, scaled },
        vector(averages.subarray(channels)),
        vector(averages.subarray(0, channels)),
      );
      return [dx, sumDyXhat, sumDy];
    },
  };
}
