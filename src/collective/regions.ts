import { shardRange } from './communicator.js';

/** Elements, or bytes, [start, end). */
export type Region = readonly [start: number, end: number];

/** Elements, or bytes, of regions together. */
export function sizeOf(regions: readonly Region[]): number {
  return regions.reduce((sum, [start, end]) => sum + end - start, 0);
}

/** Parts between ascending boundaries, of one region each. */
export function consecutive(boundaries: readonly number[]): Region[][] {
  return boundaries.slice(1).map((end, index) => [[boundaries[index], end]]);
}

/** Boundaries of `parts` even parts of elements [start, end). */
export function evenly(start: number, end: number, parts: number): number[] {
  return Array.from({ length: parts }, (_, part) => start + shardRange(end - start, part, parts)[0]).concat(
    end,
  );
}
