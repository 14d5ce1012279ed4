import * as tf from '@tensorflow/tfjs';
import { pairwise } from '../../collective/pairwise.js';
import type { Range } from '../buckets.js';
import type { Shard } from './objective.js';

/** What one logical shard has of each of several tensors, and the classes of its rows. */
interface ShardRows {
  tensors: tf.Tensor2D[];
  labels: Int32Array;
}

/** Rows of this rank by logical shard. */
export function rowsOf({ labels, rows }: Shard): readonly Range[] {
  return rows ?? [{ start: 0, end: labels.length }];
}

/** What `compute` gives for each logical shard of this rank; absent where a shard has no rows. */
export function overShards<T>(
  shard: Shard,
  tensors: readonly tf.Tensor2D[],
  compute: (rows: ShardRows) => T,
): (T | undefined)[] {
  const { labels } = shard;
  return rowsOf(shard).map(({ start, end }) => {
    if (start === end) return undefined;
    const whole = end - start === labels.length;
    return compute({
      tensors: whole ? [...tensors] : tensors.map((tensor) => tensor.slice([start, 0], [end - start, -1])),
      labels: labels.subarray(start, end),
    });
  });
}

/** What is there of the shards' rows as one tensor; undefined where none has rows. */
export function joined(shards: readonly (tf.Tensor2D | undefined)[]): tf.Tensor2D | undefined {
  const present = shards.filter((shard) => shard !== undefined);
  return present.length > 1 ? tf.concat2d(present, 0) : present[0];
}

/** The sum over the shards, in pairs; undefined where none has rows. */
export function total<T extends tf.Tensor>(shards: readonly (T | undefined)[]): T | undefined {
  return pairwise(shards, (a, b) => tf.add(a, b) as T);
}
