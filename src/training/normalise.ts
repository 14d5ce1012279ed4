import * as tf from '@tensorflow/tfjs';
import {
  batchNorm,
  batchNormGradient,
  batchNormInputGradient,
  batchNormSums,
  channelSums,
  hasNormalisePasses,
  normaliseGradient,
  normalisePass,
  normaliseSums,
  reluGradient,
  type Activation,
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
  /** What follows the batch norm; default: nothing. */
  activation?: Activation;
  share: BatchShare;
  /** Adds `sums` up, in place, over the ranks whose images are counted; absent where this rank's are all. */
  reduce?(sums: Float64Array, pass: 'forward' | 'backward'): void;
  /** Told the statistics of the batch, [channels] each, the variance unbiased; tensors live on. */
  onStatistics(mean: Statistic, variance: Statistic): void;
}

/** A number a channel: what the running backend has at hand. */
export type Statistic = tf.Tensor | Float64Array;

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
 * parameter gradients are added up over the ranks later. Where nothing is to be reduced, each pass is one operation of a
 * backend that has no operations for the halves of the passes, before and after the reduction. A ReLU that follows is part
 * of it: y = max(0, y), and dy counts where y is positive.
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
  const sharing = reduce || share.local === 0;
  const pass = hasNormalisePasses() ? inHalves(options) : sharing ? overRanks(options) : alone(options);
  const rectified = options.activation === 'relu' && !pass.rectifies;
  const operation = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [x, gamma, beta, save] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const { y, saved } = pass.forward(x, gamma, beta);
    save(rectified ? [...saved, y] : saved);
    const gradFunc = (dy: tf.Tensor, tensors: tf.Tensor[]) => {
      if (!rectified) return pass.backward(dy, tensors);
      const inner = reluGradient(dy, tensors[tensors.length - 1]);
      const gradients = pass.backward(inner, tensors.slice(0, -1));
      inner.dispose();
      return gradients;
    };
    return { value: y, gradFunc };
  });
  return operation(x, gamma, beta);
}

/** A batch norm and what its gradient, dx, dgamma and dbeta, is made of. */
interface Pass {
  /** ReLU is in `backward` as well as in `forward`. */
  rectifies?: boolean;
  forward(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor): { y: tf.Tensor; saved: tf.Tensor[] };
  backward(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[];
}

function alone({ epsilon, activation, onStatistics }: NormaliseOptions): Pass {
  return {
    forward(x, gamma, beta) {
      const { y, mean, variance, saved } = batchNorm(x, gamma, beta, { epsilon, activation });
      onStatistics(tf.keep(mean), tf.keep(variance));
      return { y, saved: [x, gamma, ...saved] };
    },
    backward: (dy, [x, gamma, ...saved]) => batchNormGradient(dy, { x, gamma, saved, epsilon }),
  };
}

/** Values of a channel, over the images that are counted. */
function countOf({ share }: NormaliseOptions, x: tf.Tensor): number {
  return (share.counted * x.size) / x.shape[x.rank - 1] / x.shape[0];
}

/** Mean and biased variance over the images that are counted; nothing is known of none. */
function globalMoments(
  x: tf.Tensor,
  options: NormaliseOptions,
): { means: Float64Array; variances: Float64Array } {
  const { share, reduce, onStatistics } = options;
  const channels = x.shape[x.rank - 1];
  const count = countOf(options, x);
  const sums = share.local > 0 ? channelSums(x) : new Float64Array(2 * channels);
  reduce?.(sums, 'forward');
  if (count === 0)
    return { means: new Float64Array(channels), variances: new Float64Array(channels).fill(1) };
  const means = sums.slice(0, channels).map((sum) => sum / count);
  const variances = sums
    .slice(channels)
    .map((sum, channel) => Math.max(sum / count - means[channel] ** 2, 0));
  const unbias = count / Math.max(count - 1, 1);
  onStatistics(
    means,
    variances.map((value) => value * unbias),
  );
  return { means, variances };
}

/** With operations for what comes before a reduction and what comes after it. */
function inHalves(options: NormaliseOptions): Pass {
  const { epsilon, activation = 'linear', share, reduce } = options;
  return {
    rectifies: true,
    forward(x, gamma, beta) {
      const { means, variances } = globalMoments(x, options);
      const statistics = rows(
        means,
        variances.map((variance) => 1 / Math.sqrt(variance + epsilon)),
      );
      const y = normalisePass({ x, gamma, beta, statistics, activation });
      return { y, saved: [x, gamma, beta, statistics] };
    },
    backward(dy, [x, gamma, beta, statistics]) {
      const channels = gamma.size;
      const pass = { x, gamma, beta, statistics, activation };
      const sums = share.local > 0 ? normaliseSums(dy, pass) : new Float64Array(2 * channels);
      const [dbeta, dgamma] = [vector(sums.subarray(0, channels)), vector(sums.subarray(channels))];
      reduce?.(sums, 'backward');
      if (share.local === 0) return [tf.zerosLike(x), dgamma, dbeta];
      const averages = sums.map((sum) => sum / countOf(options, x));
      const dx = normaliseGradient(
        dy,
        rows(averages.subarray(0, channels), averages.subarray(channels)),
        pass,
      );
      return [dx, dgamma, dbeta];
    },
  };
}

/** With the operations that every backend has. */
function overRanks(options: NormaliseOptions): Pass {
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

function rows(first: Float64Array, second: Float64Array): tf.Tensor2D {
  const values = new Float32Array(2 * first.length);
  values.set(first);
  values.set(second, first.length);
  return tf.tensor2d(values, [2, first.length]);
}

function vector(values: Float64Array): tf.Tensor1D {
  return tf.tensor1d(Float32Array.from(values));
}
