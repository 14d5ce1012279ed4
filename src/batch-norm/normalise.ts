import * as tf from '../tf/index.js';
import type { Activation } from '../backend/activation.js';
import type {
  BatchNormCall,
  BatchNormGradients,
  BatchNormOperations,
  Moments,
  Normalised,
} from '../backend/batch-norm.js';
import { runningBatchNorm } from '../backend/composed-batch-norm.js';
import { onHost } from '../backend/host-values.js';
import { sumArrays } from '../collective/pairwise.js';
import { join, rowsOf } from '../models/parts.js';
import type { Range } from '../parallel/buckets.js';

/** The part of a batch that a rank holds, and the images that statistics are taken over. */
export interface BatchShare {
  /** Images on this rank; 0 where it holds none and runs a placeholder image. */
  local: number;
  /** Images that the statistics are taken over. */
  counted: number;
  /** Rows of each virtual worker of this rank; default: there is one. */
  rows?: readonly Range[];
}

export interface NormaliseOptions {
  epsilon: number;
  /** Default: none. */
  activation?: Activation;
  /** Added to the batch norm's result, before the activation; as large as x. */
  residual?: tf.Tensor;
  share: BatchShare;
  /**
   * Adds `sums` up, in place, over the ranks whose images are counted; absent where all of them are on this rank and
   * computed at once.
   */
  reduce?(sums: Float64Array, pass: 'forward' | 'backward'): void;
  /** Called with the means of the batch, then the unbiased variances, a number a channel each; tensors live on. */
  onStatistics(moments: readonly Statistic[]): void;
}

/** One number a channel, in the form that the running backend has it. */
export type Statistic = tf.Tensor | Float64Array;

/** The two passes of a batch norm. */
interface Passes {
  forward(call: BatchNormCall): { y: tf.Tensor; statistics: tf.Tensor[] };
  backward(dy: tf.Tensor, normalised: Normalised): BatchNormGradients;
}

/**
 * Batch normalisation of x [b, height, width, channels] in training, with sums over images on other ranks.
 *
 * With M = counted images x height x width, and sums over all of them:
 *
 *     forward    mean = sum x / M      var = sum x^2 / M - mean^2      y = gamma xhat + beta
 *     backward   dx = gamma / sqrt(var + eps) (dy - sum dy / M - xhat sum(dy xhat) / M)
 *
 * Each pass reduces 2 x channels float64 numbers in the middle of the gradient tape, between two halves that the backend
 * computes. The gradients of gamma and beta stay sums over this rank's images, since parameter gradients are added up
 * over the ranks later. Where nothing is to be reduced, the backend computes a whole pass. A residual and a ReLU that
 * follow are part of both passes: y = max(0, y + residual), and dy counts where y is positive.
 *
 * A rank without images adds nothing to the sums and gets dx = 0 for its placeholder.
 */
export function normalise(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  options: NormaliseOptions,
): tf.Tensor {
  const { epsilon, activation = 'linear', share, reduce } = options;
  const backend = runningBatchNorm();
  const passes = reduce || share.local === 0 ? overRanks(backend, options) : whole(backend, options);
  const operation = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const save = inputs.pop() as tf.GradSaveFunc;
    const [x, gamma, beta, residual] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor?];
    const call = { x, gamma, beta, residual, epsilon, activation };
    const { y, statistics } = passes.forward(call);
    const isOutputRead = backend.readsOutput(call);
    const isAdded = residual !== undefined;
    save([x, gamma, beta, ...(isOutputRead ? [y] : []), ...statistics]);
    const gradFunc = (dy: tf.Tensor, [x, gamma, beta, ...saved]: tf.Tensor[]) => {
      const y = isOutputRead ? saved.shift() : undefined;
      const normalised = { x, gamma, beta, y, statistics: saved, epsilon, activation };
      const { dx, dgamma, dbeta, g } = passes.backward(dy, normalised);
      return isAdded ? [dx, dgamma, dbeta, g ?? dy.clone()] : [dx, dgamma, dbeta];
    };
    return { value: y, gradFunc };
  });
  const { residual } = options;
  return residual ? operation(x, gamma, beta, residual) : operation(x, gamma, beta);
}

/** Passes where all images are on this rank and computed at once. */
function whole({ whole }: BatchNormOperations, { onStatistics }: NormaliseOptions): Passes {
  return {
    forward(call) {
      const { moments, ...result } = whole.normalise(call);
      onStatistics(moments.map((tensor) => tf.keep(tensor)));
      return result;
    },
    backward: (dy, normalised) => whole.gradient(dy, normalised),
  };
}

/** Passes over the images of several ranks, or of the virtual workers of one: halves, and the sums between them. */
function overRanks(
  backend: BatchNormOperations,
  { share, reduce = () => {}, onStatistics }: NormaliseOptions,
): Passes {
  return {
    forward(call) {
      const { x, gamma, epsilon } = call;
      const shards = share.local > 0 ? overShards(share, [x], ([x]) => sumsOf(backend, x)) : [];
      const own = shards.filter((shard) => shard !== undefined);
      const count = countOf(share, x);
      const statistics = onHost(
        own.flatMap(({ tensors }) => tensors),
        (values) => {
          const each = dealOut(values, own);
          const sums =
            own.length > 0
              ? sumArrays(inPlace(shards, (shard, index) => backend.readSums(each[index], shard.count)))
              : new Float64Array(2 * gamma.size);
          reduce(sums, 'forward');
          const moments = momentsOf(sums, count);
          if (count > 0) {
            const unbias = count / Math.max(count - 1, 1);
            onStatistics([moments.means, moments.variances.map((value) => value * unbias)]);
          }
          return backend.statistics(moments, epsilon);
        },
      );
      return { y: backend.normalise(call, statistics), statistics };
    },

    backward(dy, normalised) {
      const { x, y, gamma } = normalised;
      const channels = gamma.size;
      if (share.local === 0) {
        onHost([], () => {
          reduce(new Float64Array(2 * channels), 'backward');
          return [];
        });
        const [dx, dgamma, dbeta, g] = [x, gamma, gamma, x].map((like) => tf.zerosLike(like));
        return { dx, dgamma, dbeta, g };
      }
      const shards = overShards(share, y ? [dy, x, y] : [dy, x], ([dy, x, y]) => {
        const { sums, g } = backend.gradientSums(dy, { ...normalised, x, y });
        return { tensors: sums, g };
      });
      const present = shards.filter((shard) => shard !== undefined);
      const count = countOf(share, x);
      const [dbeta, dgamma, ...averages] = onHost(
        present.flatMap(({ tensors }) => tensors),
        (values) => {
          const each = dealOut(values, present).map((own) => backend.readGradientSums(own));
          const own = sumArrays(inPlace(shards, (_, index) => Float32Array.from(each[index])));
          const sums = sumArrays(inPlace(shards, (_, index) => each[index]));
          const halves = [own.slice(0, channels), own.slice(channels)];
          reduce(sums, 'backward');
          return [
            ...halves.map((half) => ({ values: half, shape: [channels] })),
            ...backend.averages(sums.map((sum) => sum / count)),
          ];
        },
      );
      const g = join(shards.map((shard) => shard?.g));
      const dx = g
        ? backend.gradient(g, averages, { ...normalised, activation: 'linear' })
        : backend.gradient(dy, averages, normalised);
      return { dx, dgamma, dbeta, g };
    },
  };
}

function sumsOf(backend: BatchNormOperations, x: tf.Tensor) {
  return { tensors: backend.sums(x), count: x.size / x.shape[x.rank - 1] };
}

/** The values of each shard's tensors, from those of all shards in order. */
function dealOut<T>(values: readonly T[], shards: readonly { tensors: readonly unknown[] }[]): T[][] {
  let next = 0;
  return shards.map(({ tensors }) => values.slice(next, (next += tensors.length)));
}

/** Results for the shards that are present, at their places; `index` counts these alone. */
function inPlace<T, U>(shards: readonly (T | undefined)[], compute: (shard: T, index: number) => U) {
  let next = 0;
  return shards.map((shard) => (shard === undefined ? undefined : compute(shard, next++)));
}

/** Number of values of a channel, over the counted images. */
function countOf({ counted }: BatchShare, x: tf.Tensor): number {
  return (counted * x.size) / x.shape[x.rank - 1] / x.shape[0];
}

/** Moments from sums [2, channels] over `count` values; mean 0 and variance 1 where there are none. */
function momentsOf(sums: Float64Array, count: number): Moments {
  const channels = sums.length / 2;
  if (count === 0)
    return { means: new Float64Array(channels), variances: new Float64Array(channels).fill(1) };
  const means = sums.slice(0, channels).map((sum) => sum / count);
  const variances = sums
    .slice(channels)
    .map((sum, channel) => Math.max(sum / count - means[channel] ** 2, 0));
  return { means, variances };
}

/**
 * Results of `compute` for the rows of each virtual worker of this rank; undefined where one has no images. `compute`
 * gets these rows of every tensor; a single virtual worker gets the tensors as they are.
 */
function overShards<T>(
  { rows = [] }: BatchShare,
  tensors: readonly tf.Tensor[],
  compute: (tensors: tf.Tensor[]) => T,
): (T | undefined)[] {
  if (rows.length <= 1) return [compute([...tensors])];
  return rows.map((range) => {
    if (range.start === range.end) return undefined;
    const own = tensors.map((tensor) => rowsOf(tensor, range));
    const result = compute(own);
    tf.dispose(own);
    return result;
  });
}
