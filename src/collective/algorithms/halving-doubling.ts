import type { Context } from '../context.js';
import { sizeOf, type Region } from '../regions.js';
import type { Kind } from '../../transport/wire.js';
import type { Steps } from '../steps.js';
import type { Algorithm, Cost, Shape } from './algorithm.js';

/** Ranks [first, first + size), a power of two of them. */
interface Block {
  first: number;
  size: number;
}

/** Numbers of the steps in headers; halvings and doublings are numbered by the distance of the two ranks. */
const step = { halve: 0, lift: 30, deliver: 31, collect: 32, lower: 33, double: 34 } as const;

const largestPayload = 64 * 1024 * 1024;

/**
 * Recursive halving and doubling: log2 N exchanges with one other rank each, where a ring makes N - 1 hops.
 *
 *     reduce-scatter   ranks 1, 2, 4, ... apart exchange halves: of the parts that a rank is still to add up it sends
 *                      those of its partner's side, and adds those of its own. log2 N hops, (N - 1)/N S a rank.
 *     all-gather       the same backwards: ranks ..., 4, 2, 1 apart exchange all that they have. log2 N, (N - 1)/N S.
 *     all-reduce       the first, then the second.
 *
 * Any number of ranks is a sum of powers of two, 13 = 8 + 4 + 1: blocks of so many ranks, each of which halves by itself
 * (binary blocks). The sums of a block then go to the next larger one, from the smallest to the largest, and results the
 * other way around. A smaller block needs fewer halvings, so this adds no hop that another would not wait for; a rank sends
 * a few parts more than 2 S. The largest block also sums the parts of the ranks outside of it: one hop more in a
 * reduce-scatter and an all-gather.
 *
 * A rank at position q of a block of B sums the parts p with p mod B = q. Where a smaller block has B' ranks, B' divides
 * B, and its rank at q mod B' has all of these parts.
 *
 * The order is that of `pairwise.ts`: neighbours first, then pairs of them, and the blocks as 8 + (4 + 1). So results are
 * those of one shot and of two, to the last bit, on all ranks and for every number of them.
 *
 * Buffers: the parts of a message lie apart, and are packed into the send region. Nothing needs an acknowledgement.
 */
function* allReduce(context: Context): Steps {
  yield* halve(context);
  yield* double(context);
}

function* reduceScatter(context: Context): Steps {
  yield* halve(context);
  const { rank, worldSize } = context;
  const [{ size }] = blocksOf(worldSize);
  if (rank >= size) yield* receive(context, rank - size, step.deliver, [rank], 'copy');
  else if (rank + size < worldSize) send(context, rank + size, step.deliver, [rank + size]);
}

function* allGather(context: Context): Steps {
  const { rank, worldSize } = context;
  const [{ size }] = blocksOf(worldSize);
  if (rank >= size) send(context, rank - size, step.collect, [rank]);
  else if (rank + size < worldSize) yield* receive(context, rank + size, step.collect, [rank + size], 'copy');
  yield* double(context);
}

/** Adds up all parts, over all ranks, on the largest block. */
function* halve(context: Context): Steps {
  const { own, position, larger, smaller } = placeOf(context);
  for (let half = 1; half < own.size; half *= 2) {
    const partner = position ^ half;
    send(context, own.first + partner, step.halve + Math.log2(half), every(context, partner, 2 * half));
    const kept = every(context, position, 2 * half);
    yield* receive(context, own.first + partner, step.halve + Math.log2(half), kept, 'add');
  }
  const parts = every(context, position, own.size);
  if (smaller) yield* receive(context, smaller.first + (position % smaller.size), step.lift, parts, 'add');
  for (const [rank, itsParts] of above(context, position, own, larger))
    send(context, rank, step.lift, itsParts);
}

/** Brings all parts from the largest block to all ranks. */
function* double(context: Context): Steps {
  const { own, position, larger, smaller } = placeOf(context);
  for (const [rank, itsParts] of above(context, position, own, larger))
    yield* receive(context, rank, step.lower, itsParts, 'copy');
  const parts = every(context, position, own.size);
  if (smaller) send(context, smaller.first + (position % smaller.size), step.lower, parts);
  for (let half = own.size / 2; half >= 1; half /= 2) {
    const partner = position ^ half;
    send(context, own.first + partner, step.double + Math.log2(half), every(context, position, 2 * half));
    const taken = every(context, partner, 2 * half);
    yield* receive(context, own.first + partner, step.double + Math.log2(half), taken, 'copy');
  }
}

/** Blocks from the largest to the smallest. */
function blocksOf(worldSize: number): Block[] {
  const blocks: Block[] = [];
  let first = 0;
  for (let size = 2 ** Math.floor(Math.log2(worldSize)); size >= 1; size /= 2) {
    if ((worldSize & size) === 0) continue;
    blocks.push({ first, size });
    first += size;
  }
  return blocks;
}

function placeOf({ rank, worldSize }: Context) {
  const blocks = blocksOf(worldSize);
  const index = blocks.findLastIndex(({ first }) => rank >= first);
  const own = blocks[index];
  const smaller: Block | undefined = blocks[index + 1];
  const larger: Block | undefined = blocks[index - 1];
  return { own, position: rank - own.first, smaller, larger };
}

/** Ranks of the next larger block whose parts this rank has, with the parts of each. */
function above(context: Context, position: number, own: Block, larger: Block | undefined) {
  if (!larger) return [];
  const { first, size } = larger;
  return Array.from({ length: size / own.size }, (_, index): [rank: number, parts: number[]] => {
    const theirs = position + index * own.size;
    return [first + theirs, every(context, theirs, size)];
  });
}

/** Parts p with p mod `distance` = `position` mod `distance`. */
function every({ worldSize }: Context, position: number, distance: number): number[] {
  const first = position % distance;
  return Array.from(
    { length: Math.ceil((worldSize - first) / distance) },
    (_, index) => first + index * distance,
  );
}

function send(context: Context, to: number, step: number, parts: readonly number[]): void {
  for (const [chunk, regions] of chunksOf(context, parts))
    context.send(to, step, chunk, context.pack(regions));
}

function* receive(
  context: Context,
  from: number,
  step: number,
  parts: readonly number[],
  act: 'add' | 'copy',
): Steps {
  for (const [chunk, regions] of chunksOf(context, parts)) {
    const bytes = sizeOf(regions);
    context.unpack(regions, yield* context.receive(from, step, chunk, bytes), act);
  }
}

/** Parts in chunks of at most 1 MiB, at least one, perhaps empty. */
function* chunksOf(context: Context, parts: readonly number[]): Generator<[number, Region[]]> {
  const most = 1024 * 1024;
  let [chunk, room] = [0, most];
  let regions: Region[] = [];
  for (const [first, end] of parts.flatMap((part) => context.part(part)))
    for (let start = first; start < end;) {
      const stop = Math.min(start + room, end);
      regions.push([start, stop]);
      room -= stop - start;
      start = stop;
      if (room > 0) continue;
      yield [chunk++, regions];
      [regions, room] = [[], most];
    }
  if (regions.length > 0 || chunk === 0) yield [chunk, regions];
}

function cost(collective: Kind, { bytes, worldSize }: Shape): Cost {
  const phases = collective === 'allReduce' ? 2 : 1;
  const levels = Math.floor(Math.log2(worldSize));
  if (worldSize === 2 ** levels) {
    const hops = phases * levels;
    return { hops, messages: hops, bytes: (phases * (worldSize - 1) * bytes) / worldSize };
  }
  const hops = phases * levels + 1;
  return { hops, messages: hops + 1, bytes: (phases + levels / worldSize) * bytes };
}

export const halvingDoubling: Algorithm = {
  name: 'halving-doubling',
  collectives: { allReduce, reduceScatter, allGather },
  summation: 'pairs',
  wire: 'float32',
  cost,
  fits: ({ copies, bytes }) => !copies && bytes <= largestPayload,
};
