import { shardRange } from '../collective/communicator.js';
import { permutation, randomStream, type RandomStream } from '../util/random.js';

/**
 * The image indices of every global batch of an epoch: all `count` images once, shuffled by (seed, epoch) alone, the
 * last batch short where `batchSize` does not divide `count`.
 */
export function globalBatches(count: number, batchSize: number, seed: number, epoch: number): Int32Array[] {
  const order = permutation(count, randomStream(seed, 0x5a, epoch));
  return cut(order, batchSize);
}

/**
 * The image indices of every global batch of an epoch that shows all classes alike, however many images they have: as many
 * images as there are, class after class in rounds of a new order each, those of a class in a new order each time all of them
 * have been shown. It depends on (seed, epoch) and the labels alone.
 *
 * An image that an epoch shows more than once is augmented in the same way each time.
 */
export function balancedBatches(
  labels: Int32Array,
  { batchSize, seed, epoch }: { batchSize: number; seed: number; epoch: number },
): Int32Array[] {
  const random = randomStream(seed, 0x5b, epoch);
  const byClass: number[][] = [];
  labels.forEach((label, image) => (byClass[label] ??= []).push(image));
  const classes = [...byClass.keys()].filter((label) => byClass[label] !== undefined);
  const left: number[][] = [];
  const next = (label: number) => {
    if ((left[label] ??= []).length === 0) left[label] = shuffled(byClass[label], random);
    return left[label].pop() as number;
  };
  const order = new Int32Array(labels.length);
  for (let start = 0; start < order.length; start += classes.length)
    for (const [place, label] of shuffled(classes, random).entries())
      if (start + place < order.length) order[start + place] = next(label);
  return cut(order, batchSize);
}

function shuffled(values: readonly number[], random: RandomStream): number[] {
  return Array.from(permutation(values.length, random), (place) => values[place]);
}

/** How many of the labels are each of `classes` classes. */
export function imagesOfClasses(labels: Int32Array, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]++;
  return counts;
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
