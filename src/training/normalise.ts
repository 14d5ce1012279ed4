import * as tf from '@tensorflow/tfjs';
import {
  batchNorm,
  batchNormGradient,
  batchNormInputGradient,
  batchNormSums,
  channelSums,
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
 * double precision, so nothing cancels. The gradients of gamma and beta stay sums over this rank's images, since
 * parameter gradients are added up over the ranks later. Where nothing is to be reduced, each pass is one operation of
 * the backend. A ReLU that follows is part of it: y = max(0, y), and dy counts where y is positive.
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
  const pass = reduce || share.local === 0 ? overRanks(options) : alone(options);
  const rectified = options.activation === 'relu';
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

/** A batch norm and what its gradient, dx, dgamma and dbeta, is made of; ReLU is in `forward` alone. */
interface Pass {
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

function overRanks(options: NormaliseOptions): Pass {
  const { epsilon, activation, share, reduce = () => {}, onStatistics } = options;
  const counted = (x: tf.Tensor, channels: number) => (share.counted * x.size) / channels / x.shape[0];
  return {
    forward(x, gamma, beta) {
      const channels = gamma.size;
      const count = counted(x, channels);
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
      const averages = sums.map((sum) => sum / counted(x, channels));
      const dx = batchNormInputGradient(
        own,
        vector(averages.subarray(channels)),
        vector(averages.subarray(0, channels)),
      );
      return [dx, sumDyXhat, sumDy];
    },
  };
}

function vector(values: Float64Array): tf.Tensor1D {
  return tf.tensor1d(Float32Array.from(values));
}
