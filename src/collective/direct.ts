import { release, type Context } from './context.js';

const nothing = new Uint8Array(0);

/**
 * Direct exchange for small payloads, where the number of hops is what costs: one hop in place of 2 (N - 1).
 *
 * Every rank sends its values to every other and receives theirs. Each then combines all N in rank order, so that
 * results are bitwise equal everywhere. Messages a rank sends: N - 1; bytes: (N - 1) S. Payloads are copied first, so
 * the caller's values are free as soon as the call is over.
 */
export async function directAllReduce(context: Context): Promise<void> {
  const [start, end] = context.whole;
  const received = await exchange(
    context,
    () => copyOf(context, start, end),
    () => end - start,
  );
  const own = copyOf(context, start, end);
  for (let rank = 0; rank < context.worldSize; rank++) {
    const payload = rank === context.rank ? own : (received.get(rank) as Buffer);
    if (rank === 0) context.copy(start, payload);
    else context.reduce(start, payload);
  }
}

/** As `directAllReduce`, but rank r sends to rank p only p's part, and combines only its own: (N - 1)/N S bytes. */
export async function directReduceScatter(context: Context): Promise<void> {
  const [start, end] = context.part(context.rank);
  const partOf = (peer: number) => copyOf(context, ...context.part(peer));
  const received = await exchange(context, partOf, () => end - start);
  const own = copyOf(context, start, end);
  for (let rank = 0; rank < context.worldSize; rank++) {
    const payload = rank === context.rank ? own : (received.get(rank) as Buffer);
    if (rank === 0) context.copy(start, payload);
    else context.reduce(start, payload);
  }
}

/** Every rank sends its part to every other: one hop, N - 1 messages and (N - 1) times its part's bytes. */
export async function directAllGather(context: Context): Promise<void> {
  const own = copyOf(context, ...context.part(context.rank));
  const sizeOf = (peer: number) => {
    const [start, end] = context.part(peer);
    return end - start;
  };
  const received = await exchange(context, () => own, sizeOf);
  for (const [peer, payload] of received) context.copy(context.part(peer)[0], payload);
}

/** An exchange of nothing: returns once every rank has sent its empty message. */
export async function barrier(context: Context): Promise<void> {
  await exchange(
    context,
    () => nothing,
    () => 0,
  );
}

/**
 * From the root around the ring, in chunks that travel on while the next arrives: S bytes a rank, N - 2 hops more
 * than one. The root waits for every rank's acknowledgement, and every rank for the root's barrier, so that nobody
 * runs ahead and all views are free afterwards.
 */
export async function broadcast(context: Context): Promise<void> {
  const [start, end] = context.whole;
  const { rank, worldSize, command } = context;
  const distance = (rank - command.root + worldSize) % worldSize;
  const next = context.edge(rank + 1);
  const previous = context.edge(rank - 1);
  const size = 1024 * 1024;
  for (let chunk = 0, at = start; at < end; chunk++, at += size) {
    const stop = Math.min(at + size, end);
    if (distance > 0) {
      const payload = await context.receive(previous, distance, chunk, stop - at);
      context.copy(at, payload);
      release(payload);
    }
    if (distance < worldSize - 1) await context.send(next, distance + 1, chunk, context.view(at, stop));
  }
  await exchange(
    context,
    () => nothing,
    () => 0,
    'acknowledge',
  );
}

async function exchange(
  context: Context,
  payloadFor: (peer: number) => Uint8Array,
  bytesOf: (peer: number) => number,
  kind = context.command.kind,
): Promise<Map<number, Buffer>> {
  const received = new Map<number, Buffer>();
  for (const peer of context.peers) await context.send(context.edge(peer), 0, 0, payloadFor(peer), kind);
  for (const peer of context.peers)
    received.set(peer, await context.receive(context.edge(peer), 0, 0, bytesOf(peer), kind));
  return received;
}

function copyOf(context: Context, start: number, end: number): Buffer {
  return Buffer.from(context.view(start, end));
}
