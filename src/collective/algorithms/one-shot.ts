import type { Context } from '../context.js';
import { siblings } from '../pairwise.js';
import { beginRound } from '../rounds.js';
import { quota } from '../send-stage.js';
import type { Steps } from '../steps.js';
import type { Algorithm } from './algorithm.js';

/**
 * Every rank sends all its values to every other, and adds what it receives.
 *
 * Messages a rank sends: N - 1; bytes: (N - 1) S; hops: 1, the fewest possible. Each rank combines all N in pairs
 * (`pairwise.ts`), so that results are bitwise equal everywhere. What is sent is a copy, so the values are free at once.
 *
 * Between two ranks it sends no more than a ring does, in one hop instead of two.
 */
function* allReduce(context: Context): Steps {
  beginRound(context);
  const [start, end] = context.range;
  const own = context.stage(start, end);
  context.sendToAll(0, 0, own);
  for (const group of siblings(context.rank, context.worldSize)) {
    const payloads: Uint8Array[] = [];
    for (const rank of group) payloads.push(yield* context.receive(rank, 0, 0, end - start));
    context.reduceAll(start, payloads);
  }
}

export const oneShot: Algorithm = {
  name: 'one-shot',
  collectives: { allReduce },
  summation: 'pairs',
  wire: 'float32',
  cost: (_, { bytes, worldSize }) => ({
    hops: 1,
    messages: worldSize - 1,
    bytes: (worldSize - 1) * bytes,
  }),
  fits: ({ bytes }) => bytes <= quota.exchange,
};
