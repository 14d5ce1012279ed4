import { shardRange } from '../collective/communicator.js';
import { permutation, randomStream } from '../util/random.js';

/**
 * The image indices of every global batch of an epoch: all `count` images once, shuffled by (seed, epoch) alone, the
 * last batch short where `batchSize` does not divide `count`.
 */
export function globalBatches(count: number, batchSize: number, seed: number, epoch: number): Int32Array[] {
  const order = permutation(count, randomStream(seed, 0x5a, epoch));
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

/** Test images are read in at least this many passes where there are that many, for as many ranks to share. */
const leastPasses = 8;

/**
 * A rank's passes over `count` test images, as image indices of at most `batchSize`; those of all ranks hold every
 * image exactly once, in rank order. The passes are cut before they are shared out, so each image is computed beside the
 * same others, and gets the same bits, for any number of ranks.
 */
export function evaluationPasses(
  count: number,
  rank: number,
  worldSize: number,
  batchSize: number,
): Int32Array[] {
  const size = Math.min(batchSize, Math.ceil(count / leastPasses));
  const passes = cut(
    Int32Array.from({ length: count }, (_, index) => index),
    size,
  );
  return passes.slice(...shardRange(passes.length, rank, worldSize));
}

function cut(indices: Int32Array, size: number): Int32Array[] {
  const batches: Int32Array[] = [];
  for (let start = 0; start < indices.length; start += size)
    batches.push(indices.subarray(start, start + size));
  return batches;
}
