import type { Slot } from './parameters.js';

/** Most pieces that the parameters are cut into, about: collectives in flight at once are limited. */
const mostBuckets = 24;

/** A contiguous range of the flat parameters: [start, end). */
export interface Range {
  start: number;
  end: number;
}

/**
 * Cuts the flat parameters into contiguous buckets of about `bucketBytes`, in order. A parameter stays whole unless it
 * is larger than two buckets, then it is cut into equal parts.
 */
export function planBuckets(slots: readonly Slot[], bucketBytes: number): Range[] {
  const total = slots.reduce((sum, slot) => sum + slot.size, 0);
  const target = Math.max(Math.ceil(bucketBytes / 4), Math.ceil(total / mostBuckets));
  const buckets: Range[] = [];
  let start = 0;
  let end = 0;
  const close = () => {
    if (end > start) buckets.push({ start, end });
    start = end;
  };
  for (const { size } of slots) {
    if (end - start + size > target) close();
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
