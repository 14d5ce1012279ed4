import type { Context } from '../context.js';
import { siblings } from '../pairwise.js';

/**
 * One-hop exchange: every rank sends all its values to every other, and adds what it receives.
 *
 * Messages a rank sends: N - 1; bytes: (N - 1) S; hops: 1, the fewest possible. Each rank combines all N in pairs
 * (`pairwise.ts`), so that results are bitwise equal everywhere. What is sent is a copy, so the values are free at once.
 *
 * Between two ranks it sends no more than a ring does, in one hop instead of two.
 */
export async function exchangeAllReduce(context: Context): Promise<void> {
  const [start, end] = context.range;
  const own = context.stage(start, end);
  for (const peer of context.peers) context.send(peer, 0, 0, own);
  for (const group of siblings(context.rank, context.worldSize)) {
    const payloads: Buffer[] = [];
    for (const rank of group) payloads.push(await context.receive(rank, 0, 0, end - start));
    context.reduceAll(start, payloads);
  }
}

/** An exchange of nothing: returns once every rank has sent its empty message. */
export function barrier(context: Context): Promise<void> {
  return context.acknowledge(0);
}
