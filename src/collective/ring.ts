import { release, type Context } from './context.js';

/** What a pass around the ring does. */
interface Pass {
  /** Part that this rank sends first. */
  first: number;
  /** Steps that combine what they receive with the arena. */
  reducing: number;
  /** Steps after those, which copy it. */
  copying: number;
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
 * At step t a rank receives part (first - t - 1) and, unless the pass is over, sends it on at once; parts are cut
 * into chunks, so that a chunk travels on while the next one arrives. Every part is combined along one path in one
 * order and then copied: results are bitwise equal on all ranks and from run to run.
 *
 * Buffers: payloads leave the arena without a copy. Within a pass a region is only overwritten by a message that
 * could not exist before its old content had arrived. At the end each rank tells the one before that everything has
 * arrived, and waits for the same word from the next: then the caller may change the values.
 */
export async function ring(context: Context, { first, reducing, copying }: Pass): Promise<void> {
  const next = context.edge(context.rank + 1);
  const previous = context.edge(context.rank - 1);
  const steps = reducing + copying;

  let [start, end] = context.part(first);
  const size = chunkBytes(end - start);
  for (let chunk = 0, at = start; at < end; chunk++, at += size) {
    await context.send(next, 0, chunk, context.view(at, Math.min(at + size, end)));
  }
  for (let step = 0; step < steps; step++) {
    [start, end] = context.part(first - step - 1);
    const size = chunkBytes(end - start);
    for (let chunk = 0, at = start; at < end; chunk++, at += size) {
      const stop = Math.min(at + size, end);
      const payload = await context.receive(previous, step, chunk, stop - at);
      if (step < reducing) context.reduce(at, payload);
      else context.copy(at, payload);
      release(payload);
      if (step + 1 < steps) await context.send(next, step + 1, chunk, context.view(at, stop));
    }
  }

  await context.send(previous, steps, 0, new Uint8Array(0), 'acknowledge');
  await context.receive(next, steps, 0, 0, 'acknowledge');
}

/** Two chunks a part from 2 MiB on, and none above 2 MiB; a multiple of 64 bytes, whole elements. */
function chunkBytes(part: number): number {
  const largest = 2 * 1024 * 1024;
  const smallest = 1024 * 1024;
  const half = Math.ceil(part / 2 / 64) * 64;
  return Math.max(Math.min(half, largest), smallest);
}

export function ringAllReduce(context: Context): Promise<void> {
  const steps = context.worldSize - 1;
  return ring(context, { first: context.rank - 1, reducing: steps, copying: steps });
}

export function ringReduceScatter(context: Context): Promise<void> {
  return ring(context, { first: context.rank - 1, reducing: context.worldSize - 1, copying: 0 });
}

export function ringAllGather(context: Context): Promise<void> {
  return ring(context, { first: context.rank, reducing: 0, copying: context.worldSize - 1 });
}
