import { tf } from '../tf/deferred.js';
import type { Scalar, Tensor, Tensor2D } from '../tf/index.js';
import type { Communicator } from '../collective/communicator.js';
import { join } from '../models/parts.js';
import { batchOf, summed, type Loss } from './loss.js';
import { weigher, type Weigh } from './mixed.js';
import { overShards, placed, total } from './over-shards.js';

/** A loss of some rows, summed over them. */
export interface RowTerms {
  sum: Scalar;
  /** Gradients of `sum`: with respect to `features`, [rows, d], then to each of the class weights. */
  gradients(): Tensor[];
}

/**
 * The loss that is the mean over the images of all ranks of what `terms` gives for each row alone.
 *
 * Each rank adds the sum over its own rows, divided by the global batch; one number is reduced, for the record. `terms` is
 * called with features [rows, d], labels [rows] and the trained class weights, rows [k, d] and perhaps a bias [k]; once for
 * each virtual worker that has rows, and once more with the other classes of images that are mixed. The loss has no parts and no state.
 *
 * @example
 * import { LocalCommunicator, meanOverImages, readOutcome, tf } from 'pod-dist';
 *
 * const loss = meanOverImages(new LocalCommunicator(), (features) => ({
 *   sum: tf.div(tf.sum(tf.square(features)), 2),
 *   gradients: () => [features],
 * }));
 * const features = tf.tensor2d([1, 2, 3, 4], [2, 2]);
 * const { values, gradients } = loss.compute(features, [], { labels: Int32Array.of(0, 1), counts: [2] });
 * console.log(readOutcome(values).loss, gradients[0].shape);
 */
export function meanOverImages(
  communicator: Communicator,
  terms: (features: Tensor2D, labels: Int32Array, classWeights: readonly Tensor[]) => RowTerms,
): Loss {
  return {
    compute(features, classWeights, shard) {
      const batch = batchOf(shard);
      const weigh = shard.mixed && weigher(shard.mixed);
      const shards = overShards(shard, [features], ({ tensors: [rows], labels, others }) => {
        const own = terms(rows, labels, classWeights);
        return weigh && others ? weighted(own, terms(rows, others, classWeights), weigh) : own;
      });
      const gradients = shards.map((own) => own?.gradients().map((gradient) => tf.div(gradient, batch)));
      const ofFeatures = join(gradients.map((own) => own?.[0])) ?? tf.zerosLike(features);
      const ofWeights = classWeights.map(
        (weight, index) => total(gradients.map((own) => own?.[index + 1])) ?? tf.zerosLike(weight),
      );
      const sums = placed(shards.map((own) => own?.sum));
      const values = {
        tensors: sums.tensors,
        of: (read: readonly Float32Array[]) => {
          const [sum] = summed(communicator, sums.of(read));
          return { loss: sum / batch, parts: {} };
        },
      };
      return { values, gradients: [ofFeatures, ...ofWeights] };
    },
  };
}

function weighted(own: RowTerms, other: RowTerms, weigh: Weigh): RowTerms {
  return {
    sum: weigh(own.sum, other.sum) as Scalar,
    gradients: () => {
      const others = other.gradients();
      return own.gradients().map((gradient, index) => weigh(gradient, others[index]));
    },
  };
}
