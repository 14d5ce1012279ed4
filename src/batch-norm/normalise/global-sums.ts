import * as tf from '../../tf/index.js';
import { channelSums } from '../../backend/batch-norm.js';
import { sumArrays } from '../../collective/pairwise.js';
import { overShards } from './over-shards.js';
import type { NormaliseOptions } from './pass.js';

/** Values of a channel, over the images that are counted. */
export function countOf({ share }: NormaliseOptions, x: tf.Tensor): number {
  return (share.counted * x.size) / x.shape[x.rank - 1] / x.shape[0];
}

/** Mean and biased variance over the images that are counted; nothing is known of none. */
export function globalMoments(
  x: tf.Tensor,
  options: NormaliseOptions,
): { means: Float64Array; variances: Float64Array } {
  const { share, reduce, onStatistics } = options;
  const channels = x.shape[x.rank - 1];
  const count = countOf(options, x);
  const sums =
    share.local > 0
      ? sumArrays(overShards(share, [x], ([x]) => channelSums(x)))
      : new Float64Array(2 * channels);
  reduce?.(sums, 'forward');
  if (count === 0)
    return { means: new Float64Array(channels), variances: new Float64Array(channels).fill(1) };
  const means = sums.slice(0, channels).map((sum) => sum / count);
  const variances = sums
    .slice(channels)
    .map((sum, channel) => Math.max(sum / count - means[channel] ** 2, 0));
  const unbias = count / Math.max(count - 1, 1);
  onStatistics([means, variances.map((value) => value * unbias)]);
  return { means, variances };
}

/** A number a channel. */
export function vector(values: Float64Array | Float32Array): tf.Tensor1D {
  return tf.tensor1d(values instanceof Float32Array ? values : Float32Array.from(values));
}
