import { tf } from '../tf/deferred.js';
import type { Tensor, Variable, layers } from '../tf/index.js';

/** Parts of a batch, in order; those without images are absent. */
export type Parts<T extends Tensor = Tensor> = readonly (T | undefined)[];

/** One tensor of all rows; undefined where all parts are absent. */
export function join<T extends Tensor>(parts: Parts<T>): T | undefined {
  const present = parts.filter((part) => part !== undefined);
  return present.length > 1 ? (tf.concat(present) as T) : present[0];
}

/** Rows [start, end) of a tensor. */
export function rowsOf<T extends Tensor>(tensor: T, { start, end }: { start: number; end: number }): T {
  const others = tensor.shape.slice(1);
  return tf.slice(tensor, [start, ...others.map(() => 0)], [end - start, ...others]);
}

/** Cuts as many rows as each of `like` has out of `whole`, which `join` has made or something of the same rows. */
export function cut<T extends Tensor>(whole: T, like: Parts): Parts<T> {
  const present = like.filter((part) => part !== undefined);
  const sizes = present.map(({ shape }) => shape[0]);
  const pieces = present.length === 1 ? [whole] : tf.split(whole, sizes);
  let next = 0;
  return like.map((part) => part && (pieces[next++] as T));
}

/**
 * Runs `compute` for each part that is present while every weight of `layer` reads as an identity of its own, and puts
 * these together in pairs: on the tape the gradient of a weight is the sum of the parts' gradients in that order
 * (`collective/pairwise.ts`), made by additions of two tensors.
 */
export function eachWithOwnWeights<T extends Tensor>(
  layer: layers.Layer,
  present: readonly boolean[],
  compute: (part: number) => T,
): Parts<T> {
  const weights = layer.trainableWeights;
  const reads = weights.map((weight) => weight.read);
  const identities = weights.map((weight) => fanOut(weight.read(), present));
  try {
    return present.map((isPresent, part) => {
      if (!isPresent) return undefined;
      weights.forEach((weight, index) => (weight.read = () => identities[index][part] as Variable));
      return compute(part);
    });
  } finally {
    weights.forEach((weight, index) => (weight.read = reads[index]));
  }
}

/** Identities of a value for a power of two of readers, put together in pairs; none for absent readers. */
function fanOut(value: Tensor, present: readonly boolean[]): Parts {
  if (present.length === 1) return [present[0] ? value : undefined];
  const half = present.length / 2;
  const sides = [present.slice(0, half), present.slice(half)];
  const isShared = sides.every((side) => side.includes(true));
  return sides.flatMap((side) => fanOut(isShared ? value.clone() : value, side));
}
