import type { Algorithm } from './algorithm.js';

/** Every rank sends every other an empty message, and returns once it has theirs: N - 1 messages, 1 hop. */
export const barrier: Algorithm = {
  name: 'barrier',
  collectives: { barrier: (context) => context.acknowledge(0) },
  summation: 'none',
  wire: 'float32',
  cost: (_, { worldSize }) => ({ hops: 1, messages: worldSize - 1, bytes: 0 }),
};
