import type { Context } from '../context.js';
import type { Steps } from '../steps.js';
import type { Algorithm } from './algorithm.js';

const chunkBytes = 1024 * 1024;

/**
 * From the root around the ring, in chunks that travel on while the next arrives: S bytes a rank, N - 1 hops and one
 * more for the acknowledgement, with which every rank waits for every other: nobody runs ahead, and the values are
 * free afterwards.
 */
function* broadcast(context: Context): Steps {
  const [start, end] = context.range;
  const { rank, worldSize, command } = context;
  const distance = (rank - command.root + worldSize) % worldSize;
  for (let chunk = 0, at = start; at < end; chunk++, at += chunkBytes) {
    const stop = Math.min(at + chunkBytes, end);
    if (distance > 0) yield* context.receiveInto(rank - 1, distance, chunk, [at, stop]);
    if (distance < worldSize - 1) context.send(rank + 1, distance + 1, chunk, context.view(at, stop));
  }
  yield* context.acknowledge(0);
}

export const chain: Algorithm = {
  name: 'chain',
  collectives: { broadcast },
  summation: 'none',
  wire: 'float32',
  cost: (_, { bytes, worldSize }) => ({
    hops: worldSize,
    messages: Math.ceil(bytes / chunkBytes) + worldSize - 1,
    bytes,
  }),
};
