import { SharedMemory } from '../../transport/host/shared-memory.js';
import { checkHeader } from '../../transport/wire.js';
import { present } from '../../util/present.js';
import type { Context } from '../context.js';
import type { Steps } from '../steps.js';
import type { Algorithm } from './algorithm.js';

/**
 * Ranks of one host combine values where the others have written them, in memory that all of them map. No message is
 * sent; what a rank writes into its windows, and how often it waits for all others, is in
 * `src/transport/host/memory/exchange.h`.
 *
 * All sums are made in pairs (`pairwise.ts`): results have the bits of one-shot and two-shot. Ranks compare what they
 * announce before a value is read, as headers of messages are compared. The values are free at once.
 */
function* exchange(context: Context): Steps {
  const { command, workspace } = context;
  const { rank } = workspace.links;
  const memory = present(workspace.memory, 'shared memory');
  memory.begin(command, context.announcementOf(rank));
  for (let { held } = memory; held; held = memory.held) {
    if (held.disagrees)
      checkHeader(memory.announcementOf(held.rank), context.announcementOf(held.rank), rank, command.tag);
    workspace.waiting(held.rank);
    yield { connection: memory, bytes: 0 };
  }
}

export const sharedMemory: Algorithm = {
  name: 'shared-memory',
  collectives: {
    allReduce: exchange,
    reduceScatter: exchange,
    allGather: exchange,
    broadcast: exchange,
    barrier: exchange,
  },
  summation: 'pairs',
  wire: 'float32',
  cost: (collective) => ({ hops: collective === 'allReduce' ? 2 : 1, messages: 0, bytes: 0 }),
  fits: ({ workspace, isWhole, command }) =>
    workspace.memory !== undefined && isWhole && SharedMemory.carriesOut(command.kind),
};
