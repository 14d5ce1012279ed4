/**
 * Rounds of collectives in which every rank sends to every other one. Where the ranks of a host send through memory that they
 * share, a rank may send only so many bytes at once, and longer values go in several rounds.
 */
import { largest } from '../util/extremes.js';
import type { Context } from './context.js';
import { consecutive, evenly, type Region } from './regions.js';

/** Bytes that a rank may send to each other rank in a round, a multiple of 8 (float64). */
export function roundShare({ workspace, worldSize }: Context): number {
  const { round } = workspace;
  return round ? 8 * Math.floor(round.bytes / worldSize / 8) : Infinity;
}

/** Call it before every rank sends to all others and receives from all others. */
export function beginRound({ workspace }: Context): void {
  workspace.round?.begin();
}

/**
 * The values in windows, each split evenly over the ranks, of which a rank can send its share in one round: the whole
 * where rounds have no limit. Steps of windows are two apart.
 */
export function* windows(context: Context): Generator<Context> {
  const { worldSize, elementBytes } = context;
  const [first, last] = [context.regions(0)[0][0], context.regions(worldSize - 1)[0][1]];
  const size = (roundShare(context) * worldSize) / elementBytes;
  if (last - first <= size) {
    yield context;
    return;
  }
  for (let start = first, step = 0; start < last; start += size, step += 2)
    yield context.cut(consecutive(evenly(start, Math.min(start + size, last), worldSize)), step);
}

/**
 * Every part in pieces of `bytes` each, side by side, at least one, perhaps empty; all at once where rounds have no
 * limit.
 */
export function* pieces(context: Context, bytes: number): Generator<Context> {
  if (bytes === Infinity) {
    yield context;
    return;
  }
  const size = bytes / context.elementBytes;
  const parts = Array.from({ length: context.worldSize }, (_, index) => context.regions(index));
  const longest = largest(parts.map(([[start, end]]) => end - start));
  if (longest <= size) {
    yield context;
    return;
  }
  for (let at = 0, step = 0; at < longest; at += size, step++) {
    const cut = ([start, end]: Region): Region => [
      Math.min(start + at, end),
      Math.min(start + at + size, end),
    ];
    yield context.cut(
      parts.map((part) => part.map(cut)),
      step,
    );
  }
}
