import { nothing, type Context } from '../context.js';
import type { Region } from '../regions.js';
import type { Steps } from '../steps.js';
import type { Algorithm, Cost, Shape } from './algorithm.js';

/** A pass around the ring. */
export interface Pass {
  /** Part that this rank sends first. */
  first: number;
  /** Number of steps that combine what they receive with the arena. */
  reducing: number;
  /** Number of steps after those, which copy what they receive. */
  copying: number;
}

/** Handling of a chunk of the arena, [start, end), at either end of a connection. */
export interface Transfer {
  /** Payload to send for this rank's values. */
  outgoing(start: number, end: number): Uint8Array;
  /** Combines a received payload with the arena; returns the payload for the next rank. */
  combine(start: number, end: number, payload: Uint8Array, last: boolean): Uint8Array;
  /** Stores a received payload as it is; returns the payload for the next rank. */
  take(start: number, end: number, payload: Uint8Array): Uint8Array;
  /** Payload bytes of a chunk. */
  bytes(start: number, end: number): number;
}

/**
 * Ring collectives. Each rank sends to the next rank and receives from the one before; parts of the values travel
 * around, so that every connection carries an equal share at the same time.
 *
 *     reduce-scatter   N - 1 reducing steps: part p starts at rank p + 1 and gathers every rank's values on the way
 *                      to rank p. Bytes a rank sends: (N - 1)/N S.
 *     all-gather       N - 1 copying steps: rank p's part goes around unchanged. (N - 1)/N S.
 *     all-reduce       the first, then the second, without a pause between them. 2 (N - 1)/N S, the least possible.
 *
 * At step t a rank receives part (first - t - 1) and, unless the pass is over, sends it on at once; parts are cut into
 * chunks, so that a chunk travels on while the next one arrives. Every part is combined along one path in one order
 * and then copied: results are bitwise equal on all ranks and from run to run.
 *
 * Buffers: payloads leave the arena without a copy, over connections that do not copy themselves. Within a pass a
 * region is only overwritten by a message that could not exist before its old content had arrived. At the end each
 * rank acknowledges to the one before that everything has arrived, and waits for the acknowledgement of the next: then
 * the caller may change the values.
 */
export function* pass(
  context: Context,
  { first, reducing, copying }: Pass,
  transfer: Transfer = plain(context),
): Steps {
  const next = context.rank + 1;
  const previous = context.rank - 1;
  const steps = reducing + copying;

  for (const [chunk, start, end] of chunksOf(context.part(first))) {
    context.send(next, 0, chunk, transfer.outgoing(start, end));
  }
  for (let step = 0; step < steps; step++) {
    for (const [chunk, start, end] of chunksOf(context.part(first - step - 1))) {
      const payload = yield* context.receive(previous, step, chunk, transfer.bytes(start, end));
      const onward =
        step < reducing
          ? transfer.combine(start, end, payload, step === reducing - 1)
          : transfer.take(start, end, payload);
      if (step + 1 < steps) context.send(next, step + 1, chunk, onward);
    }
  }
  context.send(previous, steps, 0, nothing, 'acknowledge');
  yield* context.receive(next, steps, 0, 0, { kind: 'acknowledge' });
}

/** Transfer of values as they are. */
function plain(context: Context): Transfer {
  const onward = (act: (target: number, payload: Uint8Array) => void) => {
    return (start: number, end: number, payload: Uint8Array) => {
      act(start, payload);
      return context.view(start, end);
    };
  };
  return {
    outgoing: (start, end) => context.view(start, end),
    combine: onward((start, payload) => context.reduce(start, payload)),
    take: onward((start, payload) => context.copy(start, payload)),
    bytes: (start, end) => end - start,
  };
}

/**
 * Chunks of a part, with their numbers: two a region from 2 MiB on, and none above 2 MiB; multiples of 64 bytes. An
 * empty region has one empty chunk, so that no rank's pass ends before every rank has begun it.
 */
function* chunksOf(part: readonly Region[]): Generator<[chunk: number, start: number, end: number]> {
  const largest = 2 * 1024 * 1024;
  const smallest = 1024 * 1024;
  let chunk = 0;
  for (const [first, end] of part) {
    const half = Math.ceil((end - first) / 2 / 64) * 64;
    const size = Math.max(Math.min(half, largest), smallest);
    let start = first;
    do {
      const stop = Math.min(start + size, end);
      yield [chunk++, start, stop];
      start = stop;
    } while (start < end);
  }
}

export function allReducePass({ rank, worldSize }: Context): Pass {
  return { first: rank - 1, reducing: worldSize - 1, copying: worldSize - 1 };
}

export function reduceScatterPass({ rank, worldSize }: Context): Pass {
  return { first: rank - 1, reducing: worldSize - 1, copying: 0 };
}

function allGatherPass({ rank, worldSize }: Context): Pass {
  return { first: rank, reducing: 0, copying: worldSize - 1 };
}

/** Cost of a pass: each step is a hop and carries a part; chunks travel at the same time, and the last message is empty. */
export function costOfPass(collective: string, { bytes, worldSize }: Shape): Cost {
  const hops = (collective === 'allReduce' ? 2 : 1) * (worldSize - 1);
  return { hops, messages: hops + 1, bytes: (hops * bytes) / worldSize };
}

export const ring: Algorithm = {
  name: 'ring',
  collectives: {
    allReduce: (context) => pass(context, allReducePass(context)),
    reduceScatter: (context) => pass(context, reduceScatterPass(context)),
    allGather: (context) => pass(context, allGatherPass(context)),
  },
  summation: 'own',
  wire: 'float32',
  cost: costOfPass,
  fits: ({ copies }) => !copies,
};
