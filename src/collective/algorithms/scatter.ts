import type { Context } from '../context.js';
import { siblings } from '../pairwise.js';
import { quota } from '../send-stage.js';

/**
 * Two-hop collectives: every rank talks to every other at once, with a part each.
 *
 *     reduce-scatter   rank r sends to each rank p its values of part p; each combines its own part.
 *                      1 hop, N - 1 messages, S - S/N bytes a rank.
 *     all-gather       each rank sends its part to every other. 1 hop, N - 1 messages, (N - 1)/N S.
 *     all-reduce       the first, then the second: 2 hops, 2 (N - 1) messages, 2 (N - 1)/N S, the least possible.
 *
 * A part in several regions takes a message for each.
 *
 * A ring moves as many bytes in 2 (N - 1) hops, each of which waits for the one before. A part is combined by one
 * rank, in pairs (`pairwise.ts`), and then copied: results are bitwise equal on all ranks and from run to run.
 *
 * Buffers: in an all-reduce values of part p leave without a copy and are overwritten by rank p's answer, which could
 * not exist before they had come. What has no answer is sent from the send region, or acknowledged where it is large.
 */
export async function scatterAllReduce(context: Context): Promise<void> {
  sendParts(context, (start, end) => context.view(start, end));
  await combineOwn(context);
  await gather(context, 1);
}

export async function scatterReduceScatter(context: Context): Promise<void> {
  const staged = context.bytes <= quota.reduceScatter;
  sendParts(context, (from, to) => (staged ? context.stage(from, to) : context.view(from, to)));
  await combineOwn(context);
  if (!staged) await context.acknowledge(1);
}

export function scatterAllGather(context: Context): Promise<void> {
  return gather(context, 0);
}

function sendParts(context: Context, payload: (start: number, end: number) => Uint8Array): void {
  for (const peer of context.peers)
    context.part(peer).forEach(([start, end], chunk) => context.send(peer, 0, chunk, payload(start, end)));
}

async function combineOwn(context: Context): Promise<void> {
  const own = context.part(context.rank);
  for (const group of siblings(context.rank, context.worldSize))
    for (const [chunk, [start, end]] of own.entries()) {
      const payloads: Buffer[] = [];
      for (const rank of group) payloads.push(await context.receive(rank, 0, chunk, end - start));
      context.reduceAll(start, payloads);
    }
}

async function gather(context: Context, step: number): Promise<void> {
  const { peers, rank } = context;
  const staged = Math.max(...[...peers, rank].map((one) => context.bytesOf(one))) <= quota.allGather;
  const own = context
    .part(rank)
    .map(([start, end]) => (staged ? context.stage(start, end) : context.view(start, end)));
  for (const peer of peers) own.forEach((payload, chunk) => context.send(peer, step, chunk, payload));
  for (const peer of peers)
    for (const [chunk, [start, end]] of context.part(peer).entries())
      context.copy(start, await context.receive(peer, step, chunk, end - start));
  if (!staged) await context.acknowledge(step + 1);
}
