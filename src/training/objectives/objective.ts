import type * as tf from '../../tf/index.js';
import type { Communicator } from '../../collective/communicator.js';
import { pairwise } from '../../collective/pairwise.js';
import type { Range } from '../buckets.js';

/** One rank's rows of the global batch. */
export interface Shard {
  /** Classes of this rank's images; empty where it holds none. */
  labels: Int32Array;
  /** Images of every rank, by rank. */
  counts: readonly number[];
  /** Rows of this rank by logical shard; default: there is one. */
  rows?: readonly Range[];
}

/** The loss of one global batch; equal on every rank. */
export interface LossValues {
  loss: number;
  /** What the loss is the sum of, by name, as the run record shows it. */
  parts: Readonly<Partial<Record<'nac' | 'sc' | 'crossEntropy' | 'meanSquaredError', number>>>;
  /** Sums over this rank's images, by logical shard, of the norm that delta's schedule follows; none where there is no delta. */
  normSums: readonly number[];
}

/** A loss of the batch over all ranks; sums over rows are made logical shard by logical shard, then in pairs. */
export interface Objective {
  /**
   * A scalar to differentiate, on every rank the loss of the global batch. Its gradients, with respect to `features`
   * and to the class weights, are those of this rank's rows: parameter gradients summed over the ranks are the gradient
   * of the global loss. `features` is [b, d], with b = max(images on this rank, 1): a rank without images passes one
   * placeholder row, which counts for nothing. `onValues` is told the loss.
   */
  apply(
    features: tf.Tensor2D,
    shard: Shard,
    delta: number,
    onValues: (values: LossValues) => void,
  ): tf.Scalar;

  /** Frees what it keeps on the backend. */
  dispose(): void;
}

/** Images of all ranks. */
export function batchOf({ counts }: Shard): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Sums over all ranks of what each logical shard of this one has, some of them nothing; a list for each sum. */
export function summed(communicator: Communicator, ...lists: (readonly (number | undefined)[])[]): number[] {
  const own = lists.map((shards) => pairwise(shards, (a, b) => a + b) ?? 0);
  const sums = Float64Array.from(own);
  communicator.allReduceSync(sums, { tag: 'loss' });
  return [...sums];
}
