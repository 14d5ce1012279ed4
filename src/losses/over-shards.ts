import { tf } from '../tf/deferred.js';
import type { Tensor, Tensor2D } from '../tf/index.js';
import { pairwise } from '../collective/pairwise.js';
import { rowsOf } from '../models/parts.js';
import type { Shard } from './loss.js';

/** The rows of one virtual worker: of each of several tensors, and their classes. */
interface ShardRows {
  tensors: Tensor2D[];
  labels: Int32Array;
  /** Classes of the images that they are mixed with. */
  others?: Int32Array;
}

/** The result of `compute` for each virtual worker of this rank; undefined for one without rows. */
export function overShards<T>(
  { labels, mixed, rows = [{ start: 0, end: labels.length }] }: Shard,
  tensors: readonly Tensor2D[],
  compute: (rows: ShardRows) => T,
): (T | undefined)[] {
  return rows.map((range) => {
    const { start, end } = range;
    if (start === end) return undefined;
    const whole = end - start === labels.length;
    const own = tensors.map((tensor) => (whole ? tensor : rowsOf(tensor, range)));
    const others = mixed?.labels.subarray(start, end);
    return compute({ tensors: own, labels: labels.subarray(start, end), others });
  });
}

/** The sum over the shards, in pairs; undefined where none has rows. */
export function total<T extends Tensor>(shards: readonly (T | undefined)[]): T | undefined {
  return pairwise(shards, (a, b) => tf.add(a, b) as T);
}

/** Scalars of the shards that have rows, and how to read them: the number of each shard, undefined for one without rows. */
export function placed(scalars: readonly (Tensor | undefined)[]): {
  tensors: Tensor[];
  of(values: readonly Float32Array[]): (number | undefined)[];
} {
  return {
    tensors: scalars.filter((scalar) => scalar !== undefined),
    of(values) {
      let next = 0;
      return scalars.map((scalar) => (scalar === undefined ? undefined : values[next++][0]));
    },
  };
}
