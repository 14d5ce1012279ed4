import type { Context } from '../context.js';
import { siblings } from '../pairwise.js';
import { beginRound, pieces, roundShare, windows } from '../rounds.js';
import { quota } from '../send-stage.js';
import type { Steps } from '../steps.js';
import type { Algorithm } from './algorithm.js';
import { largest } from '../../util/extremes.js';

/**
 * Every rank talks to every other at once, with a part each.
 *
 *     reduce-scatter   rank r sends to each rank p its values of part p; each combines its own part.
 *                      1 hop, N - 1 messages, S - S/N bytes a rank.
 *     all-gather       each rank sends its part to every other. 1 hop, N - 1 messages, (N - 1)/N S.
 *     all-reduce       the first, then the second: 2 hops, 2 (N - 1) messages, 2 (N - 1)/N S, the least possible.
 *
 * A part in several regions takes a message for each. Where a round is limited, values go in windows or pieces that fit,
 * which also stay in the processor's cache.
 *
 * A ring moves as many bytes in 2 (N - 1) hops, each of which waits for the one before. A part is combined by one
 * rank, in pairs (`pairwise.ts`), and then copied: results are bitwise equal on all ranks and from run to run.
 *
 * Buffers: in an all-reduce values of part p leave without a copy and are overwritten by rank p's answer, which could
 * not exist before they had come. What has no answer is sent from the send region, or acknowledged where it is large.
 */
function* allReduce(context: Context): Steps {
  for (const window of windows(context)) {
    yield* scatter(window, (start, end) => window.view(start, end));
    yield* gather(window, 1);
  }
}

function* reduceScatter(context: Context): Steps {
  const staged = context.copies || context.bytes <= quota.reduceScatter;
  for (const piece of pieces(context, roundShare(context)))
    yield* scatter(piece, (start, end) => (staged ? piece.stage(start, end) : piece.view(start, end)));
  if (!staged) yield* context.acknowledge(1);
}

function* allGather(context: Context): Steps {
  for (const piece of pieces(context, context.workspace.round?.bytes ?? Infinity)) yield* gather(piece, 0);
}

function* scatter(context: Context, payload: (start: number, end: number) => Uint8Array): Steps {
  beginRound(context);
  for (const peer of context.peers)
    context.part(peer).forEach(([start, end], chunk) => context.send(peer, 0, chunk, payload(start, end)));
  const own = context.part(context.rank);
  for (const group of siblings(context.rank, context.worldSize))
    for (const [chunk, [start, end]] of own.entries()) {
      const payloads: Uint8Array[] = [];
      for (const rank of group) payloads.push(yield* context.receive(rank, 0, chunk, end - start));
      context.reduceAll(start, payloads);
    }
}

function* gather(context: Context, step: number): Steps {
  beginRound(context);
  const { peers, rank } = context;
  const most = largest([...peers, rank].map((one) => context.bytesOf(one)));
  const staged = context.copies || most <= quota.allGather;
  const own = context
    .part(rank)
    .map(([start, end]) => (staged ? context.stage(start, end) : context.view(start, end)));
  own.forEach((payload, chunk) => context.sendToAll(step, chunk, payload));
  for (const peer of peers)
    for (const [chunk, region] of context.part(peer).entries())
      yield* context.receiveInto(peer, step, chunk, region);
  if (!staged) yield* context.acknowledge(step + 1);
}

export const twoShot: Algorithm = {
  name: 'two-shot',
  collectives: { allReduce, reduceScatter, allGather },
  summation: 'pairs',
  wire: 'float32',
  cost: (collective, { bytes, worldSize }) => {
    const phases = collective === 'allReduce' ? 2 : 1;
    const messages = phases * (worldSize - 1);
    return { hops: phases, messages, bytes: (messages * bytes) / worldSize };
  },
};
