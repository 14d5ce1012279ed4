import * as tf from '../../tf/index.js';
import { normaliseGradient, normalisePass, normaliseSums } from '../../backend/batch-norm.js';
import { sumArrays } from '../../collective/pairwise.js';
import { join } from '../../models/parts.js';
import { countOf, globalMoments, vector } from './global-sums.js';
import { overShards } from './over-shards.js';
import type { NormaliseOptions, Pass } from './pass.js';

/** Over several ranks: with operations for what comes before a reduction and what comes after it. */
export function inHalves(options: NormaliseOptions): Pass {
  const { activation = 'linear', share, reduce, residual } = options;
  const epsilon = Math.fround(options.epsilon);
  const needed = residual !== undefined && activation === 'relu';
  return {
    forward(x, gamma, beta, residual) {
      const { means, variances } = globalMoments(x, options);
      const statistics = rows(
        means,
        variances.map((variance) => 1 / Math.sqrt(variance + epsilon)),
      );
      const y = normalisePass({ x, gamma, beta, statistics, activation }, residual);
      return { y, saved: [x, gamma, beta, statistics, ...(needed ? [y] : [])] };
    },
    backward(dy, [x, gamma, beta, statistics, y]) {
      const channels = gamma.size;
      const pass = { x, gamma, beta, statistics, activation };
      const shards =
        share.local > 0
          ? overShards(share, y ? [dy, x, y] : [dy, x], ([dy, x, y]) => normaliseSums(dy, { ...pass, x }, y))
          : [{ sums: new Float64Array(2 * channels) }];
      const sums = sumArrays(shards.map((shard) => shard?.sums));
      const own = sumArrays(shards.map((shard) => shard && Float32Array.from(shard.sums)));
      const [dbeta, dgamma] = [vector(own.subarray(0, channels)), vector(own.subarray(channels))];
      reduce?.(sums, 'backward');
      if (share.local === 0) {
        const nothing = tf.zerosLike(x);
        return residual ? [nothing, dgamma, dbeta, nothing.clone()] : [nothing, dgamma, dbeta];
      }
      const g = join(shards.map((shard) => shard?.g));
      const averages = sums.map((sum) => sum / countOf(options, x));
      const both = rows(averages.subarray(0, channels), averages.subarray(channels));
      const dx = g
        ? normaliseGradient(g, both, { ...pass, activation: 'linear' })
        : normaliseGradient(dy, both, pass);
      return residual ? [dx, dgamma, dbeta, g ?? dy.clone()] : [dx, dgamma, dbeta];
    },
  };
}

function rows(first: Float64Array, second: Float64Array): tf.Tensor2D {
  const values = new Float32Array(2 * first.length);
  values.set(first);
  values.set(second, first.length);
  return tf.tensor2d(values, [2, first.length]);
}
