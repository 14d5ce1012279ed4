import type { Context } from '../context.js';
import type { Steps } from '../steps.js';
import type { Algorithm } from './algorithm.js';

const chunkBytes = 1024 * 1024;

/**
 * Every rank sends the first half of its values to the next rank, and receives the previous one's into the second half,
 * in chunks: S/2 bytes a rank. With the acknowledgement every rank waits for every other: a rank that returns knows that
 * each has its neighbour's values.
 */
function* shift(context: Context): Steps {
  const [start, end] = context.range;
  const middle = (start + end) / 2;
  const { rank, worldSize } = context;
  if (worldSize === 1) return context.copy(middle, context.view(start, middle));
  for (let chunk = 0, at = start; at < middle; chunk++, at += chunkBytes) {
    const stop = Math.min(at + chunkBytes, middle);
    context.send(rank + 1, 1, chunk, context.view(at, stop));
    yield* context.receiveInto(rank - 1, 1, chunk, [at + middle - start, stop + middle - start]);
  }
  yield* context.acknowledge(0);
}

export const neighbour: Algorithm = {
  name: 'neighbour',
  collectives: { shift },
  summation: 'none',
  wire: 'float32',
  cost: (_, { bytes, worldSize }) => ({
    hops: 2,
    messages: Math.ceil(bytes / 2 / chunkBytes) + worldSize - 1,
    bytes: bytes / 2,
  }),
};
