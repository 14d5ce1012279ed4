import * as tf from '@tensorflow/tfjs';
import {
  batchNorm,
  batchNormGradient,
  batchNormInputGradient,
  batchNormSums,
  channelSums,
} from '../backend/operations.js';

/** The part of a batch that a rank holds, of which statistics are taken. */
export interface BatchShare {
  /** Images on this rank; 0 where it holds none and runs a placeholder image. */
  local: number;
  /** Images that the statistics are taken over. */
  counted: number;
}

export interface NormaliseOptions {
  epsilon: number;
  share: BatchShare;
  /** Adds `sums` up, in place, over the ranks whose images are counted; absent where this rank's are all. */
  reduce?(sums: Float64Array, pass: 'forward' | 'backward'): void;
  /** Told the statistics of the batch, [channels] each, the variance unbiased; the tensors live on. */
  onStatistics(mean: tf.Tensor, variance: tf.Tensor): void;
}

/**
 * Batch normalisation of x [b, height, width, channels] in training, with sums over images on other ranks.
 *
 * With M = counted images x height x width, and sums over all of them:
 *
 *     forward    mean = sum x / M      var = sum x^2 / M - mean^2      y = gamma xhat + beta
 *     backward   dx = gamma / sqrt(var + eps) (dy - sum dy / M - xhat sum(dy xhat) / M)
 *
 * Each pass reduces 2 x channels float64 numbers in the middle of the gradient tape; sums of squares are formed in
 * double precision, so nothing cancels. The gradients of gamma and beta stay
 * sums over this rank's images, since parameter gradients are added up over the ranks later. Where nothing is to be
 * reduced, each pass is one operation of the backend.
 *
 * A rank without images adds nothing to the sums and gets dx = 0 for its placeholder.
 */
export function normalise(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  options: NormaliseOptions,
): tf.Tensor {
  const { reduce, share } = options;
  const operation = reduce || share.local === 0 ? overRanks(options) : alone(options);
  return operation(x, gamma, beta);
}

type Save = tf.GradSaveFunc;

function alone({ epsilon, onStatistics }: NormaliseOptions) {
  return tf.customGrad((...inputs: (tf.Tensor | Save)[]) => {
    const [x, gamma, beta, save] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor, Save];
    const { y, mean, variance, saved } = batchNorm(x, gamma, beta, epsilon);
    onStatistics(tf.keep(mean), tf.keep(variance));
    save([x, gamma, ...saved]);
    const gradFunc = (dy: tf.Tensor, [xs, gammas, ...saved]: tf.Tensor[]) =>
      batchNormGradient(dy, { x: xs, gamma: gammas, saved, epsilon });
    return { value: y, gradFunc };
  });
}

function overRanks({ epsilon, share, reduce = () => {}, onStatistics }: NormaliseOptions) {
  return tf.customGrad((...inputs: (tf.Tensor | Save)[]) => {
    const [x, gamma, beta, save] = inputs as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D, Save];
    const channels = gamma.size;
    const pixels = x.size / channels / x.shape[0];
    const count = share.counted * pixels;
    const sums = share.local > 0 ? channelSums(x) : new Float64Array(2 * channels);
    reduce(sums, 'forward');
    const means = sums.subarray(0, channels).map((sum) => (count > 0 ? sum / count : 0));
    const variances = sums
      .subarray(channels)
      .map((sum, channel) => (count > 0 ? Math.max(sum / count - means[channel] ** 2, 0) : 1));
    const [mean, variance] = [vector(means), vector(variances)];
    if (count > 0) {
      const unbias = count / Math.max(count - 1, 1);
      onStatistics(tf.keep(mean.clone()), tf.keep(vector(variances.map((value) => value * unbias))));
    }
    const value: tf.Tensor = tf.batchNorm(x, mean, variance, beta, gamma, epsilon);
    save([x, gamma, mean, variance]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [xs, gammas, mean, variance] = saved;
      const own = batchNormSums(dy, { x: xs, gamma: gammas, mean, variance, epsilon });
      const { sumDyXhat, sumDy } = own;
      const sums = new Float64Array(2 * channels);
      if (share.local > 0) {
        sums.set(sumDy.dataSync<'float32'>(), 0);
        sums.set(sumDyXhat.dataSync<'float32'>(), channels);
      }
      reduce(sums, 'backward');
      if (share.local === 0) return [tf.zerosLike(xs), tf.zerosLike(sumDy), tf.zerosLike(sumDy)];
      const averages = sums.map((sum) => sum / count);
      const dx = batchNormInputGradient(
        own,
        vector(averages.subarray(channels)),
        vector(averages.subarray(0, channels)),
      );
      return [dx, sumDyXhat, sumDy];
    };
    return { value, gradFunc };
  });
}

function vector(values: Float64Array): tf.Tensor1D {
  return tf.tensor1d(Float32Array.from(values));
}
