import { tf } from '../tf/deferred.js';
import type { GradSaveFunc, Scalar, Tensor, Tensor2D } from '../tf/index.js';
import type { Computed, Loss, LossValues, Shard } from './loss.js';

export interface Applied {
  /** A scalar to differentiate with respect to features and class weights. */
  loss: Scalar;
  values: LossValues;
}

/**
 * A loss as an operation on the gradient tape. Its gradients are made together with its value: what they need of the other
 * ranks is reduced once, in the forward pass.
 *
 * `isRoot`: it is differentiated itself, not as a part of something else, so that its own gradient is 1.
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
    const computed = loss.compute(features as Tensor2D, classWeights, shard);
    results.push(computed);
    save(computed.gradients);
    const gradFunc = (dy: Scalar, saved: Tensor[]) =>
      saved.map((gradient) => (isRoot ? tf.clone(gradient) : tf.mul(gradient, dy)));
    return { value: tf.scalar(computed.values.loss), gradFunc };
  });
  return { loss: operation(features, ...classWeights), values: results[0].values };
}
