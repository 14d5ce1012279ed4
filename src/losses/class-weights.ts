import { tf } from '../tf/deferred.js';
import type { Rank, Variable } from '../tf/index.js';
import { randomStream } from '../util/random.js';
import type { LossKind } from './loss.js';

/** Trainable vectors of the classes, where a loss has them: parameters like the model's, after the model's. */
export interface ClassWeights {
  /** [k, d] */
  kernel: Variable<Rank.R2>;
  /** [k], for plain softmax. */
  bias?: Variable<Rank.R1>;
}

/**
 * The class weights of a kind of loss, or undefined for a loss on fixed centroids. Initial rows are normal with a variance of
 * 1/d, so about unit vectors, from the seed alone; biases start at 0.
 */
export function createClassWeights(
  { classWeights }: Pick<LossKind, 'classWeights'>,
  { classes, dim, seed }: { classes: number; dim: number; seed: number },
): ClassWeights | undefined {
  if (!classWeights) return undefined;
  const random = randomStream(seed, 0xc1a5);
  const values = Float32Array.from({ length: classes * dim }, () => random.normal() / Math.sqrt(dim));
  const initial = tf.tensor2d(values, [classes, dim]);
  const kernel = tf.variable(initial, true, uniqueName('classes/kernel'));
  initial.dispose();
  if (!classWeights.bias) return { kernel };
  const zeros = tf.zeros<Rank.R1>([classes]);
  const bias = tf.variable(zeros, true, uniqueName('classes/bias'));
  zeros.dispose();
  return { kernel, bias };
}

const made = new Map<string, number>();

/** TensorFlow.js refuses two variables of one name in a process. */
function uniqueName(name: string): string {
  const earlier = made.get(name) ?? 0;
  made.set(name, earlier + 1);
  return earlier === 0 ? name : `${name}_${earlier}`;
}
