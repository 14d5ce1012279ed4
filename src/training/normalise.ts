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
  wholeNormalise,
  wholeNormaliseGradient,
} from '../backend/batch-norm.js';
import { addThen, reluGradient, type Activation } from '../backend/operations.js';

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
  /** Added to the batch norm's result, before the activation; as large as x. */
  residual?: tf.Tensor;
  share: BatchShare;
  /** Adds `sums` up, in place, over the ranks whose images are counted; absent where this rank's are all. */
  reduce?(sums: Float64Array, pass: 'forward' | 'backward'): void;
  /** Told the means of the batch, then the unbiased variances, a number a channel each; tensors live on. */
  onStatistics(moments: readonly Statistic[]): void;
}

/** Numbers of channels one after another: what the running backend has at hand. */
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

/** A batch norm and what its gradient, dx, dgamma, dbeta and the residual's, is made of. */
interface Pass {
  forward(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    residual?: tf.Tensor,
  ): { y: tf.Tensor; saved: tf.Tensor[] };
  backward(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[];
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

function alone({ epsilon, activation, onStatistics }: NormaliseOptions): Pass {
  return {
    forward(x, gamma, beta) {
      const { y, mean, variance, saved } = batchNorm(x, gamma, beta, { epsilon, activation });
      onStatistics([tf.keep(mean), tf.keep(variance)]);
      return { y, saved: [x, gamma, ...saved] };
    },
    backward: (dy, [x, gamma, ...saved]) => batchNormGradient(dy, { x, gamma, saved, epsilon }),
  };
}

/** With operations for a whole pass. */
function whole({ epsilon, activation = 'linear', residual, onStatistics }: NormaliseOptions): Pass {
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
  onStatistics([means, variances.map((value) => value * unbias)]);
  return { means, variances };
}

/** With operations for what comes before a reduction and what comes after it. */
function inHalves(options: NormaliseOptions): Pass {
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
      const own = share.local > 0 ? normaliseSums(dy, pass, y) : { sums: new Float64Array(2 * channels) };
      const { sums, g } = own;
      const [dbeta, dgamma] = [vector(sums.subarray(0, channels)), vector(sums.subarray(channels))];
      reduce?.(sums, 'backward');
      if (share.local === 0) {
        const nothing = tf.zerosLike(x);
        return residual ? [nothing, dgamma, dbeta, nothing.clone()] : [nothing, dgamma, dbeta];
      }
      const averages = sums.map((sum) => sum / countOf(options, x));
      const both = rows(averages.subarray(0, channels), averages.subarray(channels));
      const dx = g
        ? normaliseGradient(g, both, { ...pass, activation: 'linear' })
        : normaliseGradient(dy, both, pass);
      return residual ? [dx, dgamma, dbeta, g ?? dy.clone()] : [dx, dgamma, dbeta];
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
