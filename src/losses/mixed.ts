import { tf } from '../tf/deferred.js';
import type { Tensor, Tensor2D } from '../tf/index.js';
import { fromHost } from '../backend/host-values.js';
import type { Computed, Loss, LossValues, MixedLabels, Shard } from './loss.js';

/** The sum of what the own classes and the others come to, by their weights. */
export type Weigh = (own: Tensor, other: Tensor) => Tensor;

/** The weights of a pass, which may be others in the next one. */
export function weigher(mixed: MixedLabels): Weigh {
  const weight = (of: () => number) => fromHost(() => ({ values: Float32Array.of(of()), shape: [] }));
  const share = weight(() => mixed.share);
  const rest = weight(() => 1 - mixed.share);
  return (own, other) => tf.add(tf.mul(own, share), tf.mul(other, rest));
}

/**
 * A loss of images of two classes each: the loss of the batch with the own classes and that with the others, by their
 * weights. What the loss's state adds up is of the features, which are the same, so it counts once.
 *
 * For losses without class weights: gradients of those are summed over virtual workers, and have to be weighted before.
 */
export function computeMixed(
  loss: Loss,
  features: Tensor2D,
  classWeights: readonly Tensor[],
  { mixed, ...shard }: Shard & { mixed: MixedLabels },
): Computed {
  const own = loss.compute(features, classWeights, shard);
  const other = loss.compute(features, classWeights, { ...shard, labels: mixed.labels });
  const weigh = weigher(mixed);
  const gradients = own.gradients.map((gradient, index) => weigh(gradient, other.gradients[index]));
  const of = (read: readonly Float32Array[]) => {
    const count = own.values.tensors.length;
    const ofOwn = own.values.of(read.slice(0, count));
    const sums = loss.state?.sums;
    const ofOther = other.values.of(read.slice(count));
    if (loss.state && sums) loss.state.sums = sums;
    return weighValues(ofOwn, ofOther, mixed.share);
  };
  return { values: { tensors: [...own.values.tensors, ...other.values.tensors], of }, gradients };
}

function weighValues(own: LossValues, other: LossValues, share: number): LossValues {
  const weigh = (a: number, b: number) => share * a + (1 - share) * b;
  return {
    loss: weigh(own.loss, other.loss),
    parts: Object.fromEntries(
      Object.entries(own.parts).map(([name, value]) => [name, weigh(value, other.parts[name])]),
    ),
  };
}
