import * as tf from '../../tf/index.js';
import { rowsOf } from '../../models/parts.js';
import type { BatchShare } from './pass.js';

/**
 * What `compute` gives for the rows of each logical shard of this rank, of tensors that all have them; absent where a
 * shard has none. A single shard gets the tensors as they are.
 */
export function overShards<T>(
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
