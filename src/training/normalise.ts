import * as tf from '@tensorflow/tfjs';

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
  /** Adds `sums` up, in place, over the ranks whose images are counted. */
  reduce(sums: Float64Array, pass: 'forward' | 'backward'): void;
  /** Told the statistics of the batch: [channels] each, the variance biased, over `count` values. */
  onStatistics(mean: Float64Array, variance: Float64Array, count: number): void;
}

/**
 * Batch normalisation of x [b, height, width, channels] in training, with sums over images on other ranks.
 *
 * With M = counted images x height x width, and sums over all of them:
 *
 *     forward    mean = sum x / M      var = sum x^2 / M - mean^2      y = gamma xhat + beta
 *     backward   dx = gamma / sqrt(var + eps) (dy - sum dy / M - xhat sum(dy xhat) / M)
 *
 * Each pass reduces 2 x channels float64 numbers in the middle of the gradient tape. A rank's sums are formed from
 * its own mean and centred variance in double precision, so nothing cancels. The gradients of gamma and beta stay
 * sums over this rank's images, since parameter gradients are added up over the ranks later.
 *
 * A rank without images adds nothing to the sums and gets dx = 0 for its placeholder.
 */
export function normalise(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  options: NormaliseOptions,
): tf.Tensor {
  const { epsilon, share, reduce, onStatistics } = options;
  const channels = x.shape[x.shape.length - 1];
  const axes = x.shape.slice(0, -1).map((_, axis) => axis);
  const pixels = x.size / channels / x.shape[0];
  const count = share.counted * pixels;

  const operation = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [xs, gammas, betas, save] = inputs as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D, tf.GradSaveFunc];
    const sums = localSums(tf.moments(xs, axes), share.local * pixels);
    reduce(sums, 'forward');
    const mean = sums.subarray(0, channels).map((sum) => (count > 0 ? sum / count : 0));
    const variance = sums
      .subarray(channels)
      .map((sum, channel) => (count > 0 ? Math.max(sum / count - mean[channel] ** 2, 0) : 1));
    if (count > 0) onStatistics(mean, variance, count);

    const centre = vector(mean);
    const value: tf.Tensor = tf.batchNorm(xs, centre, vector(variance), betas, gammas, epsilon);
    const inverse = vector(variance.map((value) => 1 / Math.sqrt(value + epsilon)));
    save([xs, gammas, centre, inverse]);
    return { value, gradFunc: backward };
  });

  function backward(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] {
    const [xs, gammas, centre, inverse] = saved;
    const centred = tf.sub(xs, centre);
    const sumDy = tf.sum(dy, axes);
    const sumDyXhat = tf.mul(tf.sum(tf.mul(dy, centred), axes), inverse);
    const sums = new Float64Array(2 * channels);
    if (share.local > 0) {
      sums.set(sumDy.dataSync<'float32'>(), 0);
      sums.set(sumDyXhat.dataSync<'float32'>(), channels);
    }
    reduce(sums, 'backward');
    if (share.local === 0) return [tf.zerosLike(xs), tf.zerosLike(sumDy), tf.zerosLike(sumDy)];
    const means = sums.map((sum) => sum / count);
    const slope = tf.mul(vector(means.subarray(channels)), inverse);
    const inner = tf.sub(tf.sub(dy, vector(means.subarray(0, channels))), tf.mul(centred, slope));
    return [tf.mul(inner, tf.mul(gammas, inverse)), sumDyXhat, sumDy];
  }

  return operation(x, gamma, beta);
}

function localSums(
  { mean, variance }: { mean: tf.Tensor; variance: tf.Tensor },
  count: number,
): Float64Array {
  const means = mean.dataSync<'float32'>();
  const variances = variance.dataSync<'float32'>();
  const channels = means.length;
  const sums = new Float64Array(2 * channels);
  for (let channel = 0; channel < channels; channel++) {
    sums[channel] = count * means[channel];
    sums[channels + channel] = count * (variances[channel] + means[channel] ** 2);
  }
  return sums;
}

function vector(values: Float64Array): tf.Tensor1D {
  return tf.tensor1d(Float32Array.from(values));
}
