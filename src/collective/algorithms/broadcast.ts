import type { Context } from '../context.js';

const chunkBytes = 1024 * 1024;

/**
 * From the root around the ring, in chunks that travel on while the next arrives: S bytes a rank, N - 1 hops and one
 * more for the acknowledgement, with which every rank waits for every other: nobody runs ahead, and the values are
 * free afterwards.
 */
export async function broadcast(context: Context): Promise<void> {
  const [start, end] = context.range;
  const { rank, worldSize, command } = context;
  const distance = (rank - command.root + worldSize) % worldSize;
  for (let chunk = 0, at = start; at < end; chunk++, at += chunkBytes) {
    const stop = Math.min(at + chunkBytes, end);
    if (distance > 0) context.copy(at, await context.receive(rank - 1, distance, chunk, stop - at));
    if (distance < worldSize - 1) context.send(rank + 1, distance + 1, chunk, context.view(at, stop));
  }
  await context.acknowledge(0);
}
