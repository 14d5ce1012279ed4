import { shardRange } from '../collective/communicator.js';
import { permutation, stream } from '../random.js';

/**
 * The image indices of every global batch of an epoch: all `count` images once, shuffled by (seed, epoch) alone, the
 * last batch short where `batchSize` does not divide `count`.
 */
export function globalBatches(count: number, batchSize: number, seed: number, epoch: number): Int32Array[] {
  const order = permutation(count, stream(seed, 0x5a, epoch));
  return cut(order, batchSize);
}

/** Steps that an epoch of `images` training images has; the last one may be short. */
export function stepsPerEpoch(
  images: number,
  { batchSize, accumulate }: { batchSize: number; accumulate: number },
): number {
  return Math.ceil(Math.ceil(images / batchSize) / accumulate);
}

/** The part of a global batch that a rank computes; the parts of all ranks make up the batch, in rank order. */
export function rankSlice(batch: Int32Array, rank: number, worldSize: number): Int32Array {
  const [start, end] = shardRange(batch.length, rank, worldSize);
  return batch.subarray(start, end);
}

/** A rank's share of `count` test images in batches; the shares of all ranks hold every image exactly once. */
export function evaluationSlice(
  count: number,
  rank: number,
  worldSize: number,
  batchSize: number,
): Int32Array[] {
  const [start, end] = shardRange(count, rank, worldSize);
  return cut(
    Int32Array.from({ length: end - start }, (_, index) => start + index),
    batchSize,
  );
}

function cut(indices: Int32Array, size: number): Int32Array[] {
  const batches: Int32Array[] = [];
  for (let start = 0; start < indices.length; start += size)
    batches.push(indices.subarray(start, start + size));
  return batches;
}
