import { tf } from '../tf/deferred.js';
import type { GradSaveFunc, Scalar, Tensor, Tensor2D } from '../tf/index.js';
import { readOutcome, type Outcome } from '../backend/host-values.js';
import { inPrecision } from '../backend/precision.js';
import { UserError } from '../util/errors.js';
import type { Computed, Loss, LossValues, Shard } from './loss.js';

export interface Applied {
  /** A scalar to differentiate with respect to features and class weights. */
  loss: Scalar;
  /** To be read where the loss is the root; otherwise it has been read already. */
  values: Outcome<LossValues>;
}

/**
 * A loss as an operation on the gradient tape. Its gradients are made together with its value: what they need of the other
 * ranks is reduced once, in the forward pass. It is computed in float32, whatever the network is.
 *
 * `isRoot`: it is differentiated itself, not as a part of something else, so that its own gradient is 1. Its scalar is then
 * 0, and whoever wants the loss reads `values` once the pass is over, and disposes of their tensors.
 */
export function applyLoss(
  loss: Loss,
  { features, classWeights = [] }: { features: Tensor2D; classWeights?: readonly Tensor[] },
  shard: Shard,
  { isRoot }: { isRoot: boolean },
): Applied {
  const results: Computed[] = [];
  const operation = tf.customGrad((...given: (Tensor | GradSaveFunc)[]) => {
    const save = given.pop() as GradSaveFunc;
    const [features, ...classWeights] = given as Tensor[];
    const computed = inPrecision('float32', () => loss.compute(features as Tensor2D, classWeights, shard));
    if (!Array.isArray((computed.values as Partial<Computed['values']>).tensors))
      throw new UserError(
        'PLUGIN_INVALID',
        'the loss must return its values as { tensors, of }: see readOutcome',
      );
    // The tape disposes of what it does not need itself.
    if (isRoot) for (const tensor of computed.values.tensors) tf.keep(tensor);
    results.push(computed);
    save(computed.gradients);
    const gradFunc = (dy: Scalar, saved: Tensor[]) =>
      saved.map((gradient) => (isRoot ? tf.clone(gradient) : tf.mul(gradient, dy)));
    return { value: tf.scalar(isRoot ? 0 : readOutcome(computed.values).loss), gradFunc };
  });
  return { loss: operation(features, ...classWeights), values: results[0].values };
}
