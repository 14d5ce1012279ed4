import { tf } from '../tf/deferred.js';
import type { Rank, Tensor, Variable } from '../tf/index.js';
import { randomStream } from '../util/random.js';
import type { InitConfig } from '../models/schema.js';
import type { LossKind } from './loss.js';

/** Trainable vectors of the classes, where a loss has them: parameters like the model's, after the model's. */
export interface ClassWeights {
  /** [k, d] */
  kernel: Variable<Rank.R2>;
  /** [k], for plain softmax. */
  bias?: Variable<Rank.R1>;
  /** [k, d], for center loss: where the features of each class are pulled to. */
  centers?: Variable<Rank.R2>;
}

/** The variables of class weights, in the order in which losses get them. */
export function classVariables(weights: ClassWeights | undefined): Variable[] {
  const { kernel, bias, centers } = weights ?? {};
  return [kernel, bias, centers].filter((one) => one !== undefined);
}

/**
 * The class weights of a kind of loss, or undefined for a loss on fixed centroids, from the seed alone. Initial rows are
 * normal with a variance of 1/d, so about unit vectors, and biases 0; with `init: pytorch` both are those of a linear layer
 * of PyTorch's, uniform in +-1/sqrt(d).
 */
export function createClassWeights(
  { classWeights }: Pick<LossKind, 'classWeights'>,
  { classes, dim, seed, init }: { classes: number; dim: number; seed: number } & InitConfig,
): ClassWeights | undefined {
  if (!classWeights) return undefined;
  const random = randomStream(seed, 0xc1a5);
  const uniform = () => (2 * random.uniform() - 1) / Math.sqrt(dim);
  const draw = init === 'pytorch' ? uniform : () => random.normal() / Math.sqrt(dim);
  const values = Float32Array.from({ length: classes * dim }, draw);
  const kernel = variable(tf.tensor2d(values, [classes, dim]), 'classes/kernel');
  if (!classWeights.bias) return { kernel };
  const start = Float32Array.from({ length: classes }, init === 'pytorch' ? uniform : () => 0);
  const bias = variable(tf.tensor1d(start), 'classes/bias');
  if (!classWeights.centers) return { kernel, bias };
  const places = Float32Array.from({ length: classes * dim }, draw);
  return { kernel, bias, centers: variable(tf.tensor2d(places, [classes, dim]), 'classes/centers') };
}

function variable<R extends Rank>(initial: Tensor<R>, name: string): Variable<R> {
  const made = tf.variable(initial, true, uniqueName(name));
  initial.dispose();
  return made;
}

const made = new Map<string, number>();

/** TensorFlow.js refuses two variables of one name in a process. */
function uniqueName(name: string): string {
  const earlier = made.get(name) ?? 0;
  made.set(name, earlier + 1);
  return earlier === 0 ? name : `${name}_${earlier}`;
}
