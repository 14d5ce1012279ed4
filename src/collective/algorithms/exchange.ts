import type { Context } from '../context.js';
import { quota } from '../send-stage.js';

/** Chunks of a two-rank exchange: how large, and how many are under way. */
const chunkBytes = 256 * 1024;
const window = quota.exchange / chunkBytes;

/**
 * One-hop exchange: every rank sends all its values to every other, and adds what it receives.
 *
 * Messages a rank sends: N - 1; bytes: (N - 1) S; hops: 1, the fewest possible. Each rank combines all N in rank
 * order, so that results are bitwise equal everywhere. What is sent is a copy, so the values are free at once.
 */
export async function exchangeAllReduce(context: Context): Promise<void> {
  if (context.worldSize === 2) return exchangeOfTwo(context);
  const [start, end] = context.range;
  const own = context.stage(start, end);
  for (const peer of context.peers) context.send(peer, 0, 0, own);
  for (let rank = 0; rank < context.worldSize; rank++) {
    const payload = rank === context.rank ? own : await context.receive(rank, 0, 0, end - start);
    if (rank === 0) context.copy(start, payload);
    else context.reduce(start, payload);
  }
}

/**
 * The same between two ranks, of any size: S bytes, as many as a ring's, in one hop instead of two.
 *
 * Values are sent in chunks from where they are; `window` chunks are under way, and chunk i + window leaves when the
 * peer's chunk i has come. So the peer's chunk i + window says that it has this rank's chunk i, which may then be
 * added to. The last `window` chunks are sent from the send region: they may be added to at once.
 */
async function exchangeOfTwo(context: Context): Promise<void> {
  const [start, end] = context.range;
  const chunks = Math.max(1, Math.ceil((end - start) / chunkBytes));
  const peer = 1 - context.rank;
  const held: Buffer[] = [];
  const at = (chunk: number) => Math.min(start + chunk * chunkBytes, end);
  const send = (chunk: number) => {
    const range = [at(chunk), at(chunk + 1)] as const;
    context.send(peer, 0, chunk, chunk < chunks - window ? context.view(...range) : context.stage(...range));
  };
  for (let chunk = 0; chunk < Math.min(window, chunks); chunk++) send(chunk);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const payload = await context.receive(peer, 0, chunk, at(chunk + 1) - at(chunk));
    if (chunk + window < chunks) send(chunk + window);
    const known = chunk - window;
    if (known >= 0) context.reduce(at(known), held.shift() as Buffer);
    if (chunk < chunks - window) held.push(payload);
    else context.reduce(at(chunk), payload);
  }
}

/** An exchange of nothing: returns once every rank has sent its empty message. */
export function barrier(context: Context): Promise<void> {
  return context.acknowledge(0);
}
