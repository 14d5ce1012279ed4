import { shardRange } from '../collective/communicator.js';
import type { Slot } from './parameters.js';

/** Approximate limit on the number of buckets: only so many collectives can be under way at once. */
const mostBuckets = 24;

/** No bucket is made smaller than this for being early; below it messages cost more than their bytes. */
const leastBytes = 65_536;
/** A bucket filled to less than 1/8 takes the next parameter as well. */
const crumb = 8;
/** Number of smaller buckets at the front, each half of the next one. */
const smallBuckets = 3;

/** A contiguous range of the flat parameters: [start, end). */
export interface Range {
  start: number;
  end: number;
}

/** The part of a bucket that a rank updates. */
export function shardOf(
  { start, end }: Range,
  { rank, worldSize }: { rank: number; worldSize: number },
): Range {
  const [first, last] = shardRange(end - start, rank, worldSize);
  return { start: start + first, end: start + last };
}

interface BucketOptions {
  /** Approximate size of a bucket; default: `defaultBucketBytes`. */
  bucketBytes?: number;
  /** Whether buckets travel while the ranks compute; default: true. */
  overlap?: boolean;
  /** Number of leading parameters that are frozen, and have buckets of their own; default: none. */
  frozen?: number;
}

/**
 * Cuts the flat parameters into contiguous buckets of about `bucketBytes`, in order. A parameter stays whole unless it
 * is larger than two buckets, then it is cut into equal parts.
 *
 * With overlap the first ones are smaller: their gradients come last and their weights are read first, so nothing hides
 * them.
 */
export function planBuckets(
  slots: readonly Slot[],
  { bucketBytes, overlap = true, frozen = 0 }: BucketOptions = {},
): Range[] {
  const total = slots.reduce((sum, slot) => sum + slot.size, 0);
  const bytes = bucketBytes ?? defaultBucketBytes(4 * total, overlap);
  const target = Math.max(Math.ceil(bytes / 4), Math.ceil(total / mostBuckets));
  const buckets: Range[] = [];
  let start = 0;
  let end = 0;
  const close = () => {
    if (end > start) buckets.push({ start, end });
    start = end;
  };
  for (const [index, { size }] of slots.entries()) {
    if (index === frozen) close();
    const halvings = overlap ? Math.max(smallBuckets - buckets.length, 0) : 0;
    const limit = Math.min(Math.max(target / 2 ** halvings, leastBytes / 4), target);
    const held = end - start;
    if (held > limit / crumb && held + size > limit) close();
    const parts = size > 2 * target ? Math.ceil(size / target) : 1;
    const first = end;
    for (let part = 1; part <= parts; part++) {
      end = first + Math.floor((size * part) / parts);
      if (parts > 1) close();
    }
  }
  close();
  return buckets;
}

const leastDefaultBytes = 131_072;
const mostDefaultBytes = 4_194_304;
const defaultBuckets = 16;

/** Buckets for parameters of so many bytes: enough of them to overlap, none so small that its messages count. */
function defaultBucketBytes(bytes: number, overlap: boolean): number {
  if (!overlap) return mostDefaultBytes;
  return Math.min(Math.max(Math.ceil(bytes / defaultBuckets), leastDefaultBytes), mostDefaultBytes);
}

/** Share of the bytes reduced so far that is gathered while the backward pass goes on. */
const earlyShare = 1 / 4;

/**
 * When each bucket's weights are gathered: after which bucket's gradients, in which order.
 *
 * Gradients come from the last bucket to the first, weights are read from the first to the last, and collectives are
 * served in one order that all ranks know beforehand. With as much communication as computation, gradients are half of
 * it and the backward pass is two thirds of the computation: about a quarter as many bytes of weights fit beside the
 * gradients, and without them the rest would not fit behind the forward pass. The last buckets, which are reduced first and
 * read last, are therefore gathered in between; all others after the gradients, in the order of reading. Where the
 * network is slower it is never idle, where it is faster nothing waits: then the order changes nothing.
 *
 * @returns for each bucket those whose weights are gathered once its gradients are reduced
 */
export function planGathers(buckets: readonly Range[]): number[][] {
  const sizes = buckets.map(({ start, end }) => end - start);
  const after: number[][] = buckets.map(() => []);
  let reduced = 0;
  let gathered = 0;
  let next = buckets.length - 1;
  for (let index = buckets.length - 1; index > 0; index--) {
    reduced += sizes[index];
    for (; next > index && gathered + sizes[next] <= earlyShare * reduced; next--) {
      gathered += sizes[next];
      after[index].push(next);
    }
  }
  for (let index = 0; index <= next; index++) after[0].push(index);
  return after;
}
