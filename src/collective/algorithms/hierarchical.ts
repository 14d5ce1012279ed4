import { evenly, type Context } from '../context.js';

type Algorithm = (context: Context) => Promise<void>;

/** The algorithms within a host and across hosts. */
export interface Levels {
  reduceScatter(within: Context): Promise<void>;
  allReduce(across: Context): Promise<void>;
  allGather(within: Context): Promise<void>;
}

const acrossStep = 2 ** 16;
const gatherStep = 2 ** 17;

/**
 * All-reduce for ranks that share hosts: slow connections carry few, long messages.
 *
 *     1. Within each host: reduce-scatter over its ranks. C parts, where C is the least number of ranks on any host:
 *        the first C ranks of a host, its carriers, get one each, the others none.
 *     2. Across hosts: carriers of the same part, one a host, all-reduce it. C such groups at the same time.
 *     3. Within each host: all-gather of the C parts.
 *
 * With L ranks on each of H hosts a rank sends about 2 (L - 1)/L S within its host and 2 (H - 1)/H S/L across, in
 * 2 (H - 1) hops across instead of 2 (H L - 1). Every part is combined in one order and then copied: results are
 * bitwise equal on all ranks.
 */
export function hierarchicalAllReduce(hosts: readonly string[], levels: Levels): Algorithm {
  const groups = groupByHost(hosts);
  const carriers = Math.min(...groups.map((group) => group.length));
  return async (context) => {
    const { length } = context.command;
    const rank = context.workspace.mesh.rank;
    const local = groups.find((group) => group.includes(rank)) as number[];
    const parts = evenly(0, length, carriers);
    const boundaries = Array.from({ length: local.length + 1 }, (_, index) => parts[index] ?? length);
    const within = context.over({ ranks: local, boundaries, firstStep: 0 });
    await levels.reduceScatter(within);
    if (within.rank < carriers) {
      const peers = groups.map((group) => group[within.rank]);
      const [start, end] = [parts[within.rank], parts[within.rank + 1]];
      const across = { ranks: peers, boundaries: evenly(start, end, peers.length), firstStep: acrossStep };
      await levels.allReduce(context.over(across));
    }
    await levels.allGather(context.over({ ranks: local, boundaries, firstStep: gatherStep }));
  };
}

/** Ranks by host, in rank order. */
export function groupByHost(hosts: readonly string[]): number[][] {
  const groups = new Map<string, number[]>();
  hosts.forEach((host, rank) => groups.set(host, [...(groups.get(host) ?? []), rank]));
  return [...groups.values()];
}
