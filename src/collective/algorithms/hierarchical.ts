import { consecutive, evenly, type Context, type Region } from '../context.js';
import type { ReducingKind } from '../wire.js';

type Algorithm = (context: Context) => Promise<void>;
type Run = (kind: ReducingKind, context: Context) => Promise<void>;

/** How a phase is carried out. */
export interface Levels {
  /** Among ranks of one host. */
  within: Run;
  /** Among ranks of different hosts. */
  across: Run;
}

const acrossStep = 2 ** 16;
const gatherStep = 2 ** 17;

/**
 * Collectives for ranks that share hosts: slow connections carry few, long messages, and no value more often than it
 * must. L ranks on each of H hosts; a column is the l-th rank of every host.
 *
 *     all-reduce       1. within each host: reduce-scatter, a part for each of its ranks
 *                      2. across hosts: the ranks of a column all-reduce their part; L columns at the same time
 *                      3. within each host: all-gather of the parts
 *     reduce-scatter   1. within each host: reduce-scatter; rank l gets the shards of its column
 *                      2. across hosts: the ranks of a column reduce-scatter those H shards
 *     all-gather       1. across hosts: the ranks of a column gather their shards
 *                      2. within each host: all-gather of the columns
 *
 * Each direction sends (L - 1)/L S a rank within its host and (H - 1)/H S/L across, in (L - 1) + (H - 1) hops. A flat
 * ring takes H L - 1 hops, and each host's connection carries (H L - 1)/(H L) S instead of (H - 1)/H S.
 *
 * Every part is combined in one order and then copied: results are bitwise equal on all ranks. No rank is done before
 * every rank has begun: each phase waits for its whole group, and the groups of two phases meet in all ranks.
 *
 * Where hosts differ in ranks, L is the least of them for the all-reduce, whose further ranks carry no part; shards
 * of the other two belong to all ranks, and have no such grid.
 */
export function hierarchical(
  hosts: readonly string[],
  { within, across }: Levels,
): Partial<Record<ReducingKind, Algorithm>> {
  const groups = groupByHost(hosts);
  if (groups.length === 1 || groups.length === hosts.length) return {};
  const columns = Math.min(...groups.map((group) => group.length));
  const column = (index: number) => groups.map((group) => group[index]);
  const localOf = (context: Context) => {
    const rank = context.workspace.mesh.rank;
    return groups.find((group) => group.includes(rank)) as number[];
  };

  const allReduce: Algorithm = async (context) => {
    const { length } = context.command;
    const ranks = localOf(context);
    const bounds = evenly(0, length, columns);
    const parts = consecutive(
      Array.from({ length: ranks.length + 1 }, (_, index) => bounds[index] ?? length),
    );
    const first = context.over({ ranks, parts, firstStep: 0 });
    await within('reduceScatter', first);
    if (first.rank < columns) {
      const peers = column(first.rank);
      const shares = consecutive(evenly(bounds[first.rank], bounds[first.rank + 1], peers.length));
      await across('allReduce', context.over({ ranks: peers, parts: shares, firstStep: acrossStep }));
    }
    await within('allGather', context.over({ ranks, parts, firstStep: gatherStep }));
  };
  if (groups.some((group) => group.length !== columns)) return { allReduce };

  const phases = (context: Context, [withinStep, columnStep]: [number, number]) => {
    const ranks = localOf(context);
    const partsOf = (owners: readonly number[]): Region[] => owners.flatMap((rank) => context.regions(rank));
    const parts = ranks.map((_, index) => partsOf(column(index)));
    const host = context.over({ ranks, parts, firstStep: withinStep });
    const peers = column(host.rank);
    const shards = peers.map((rank) => partsOf([rank]));
    return { host, peers: context.over({ ranks: peers, parts: shards, firstStep: columnStep }) };
  };
  return {
    allReduce,
    reduceScatter: async (context) => {
      const { host, peers } = phases(context, [0, acrossStep]);
      await within('reduceScatter', host);
      await across('reduceScatter', peers);
    },
    allGather: async (context) => {
      const { host, peers } = phases(context, [gatherStep, acrossStep]);
      await across('allGather', peers);
      await within('allGather', host);
    },
  };
}

/** Ranks by host, in rank order. */
function groupByHost(hosts: readonly string[]): number[][] {
  const groups = new Map<string, number[]>();
  hosts.forEach((host, rank) => groups.set(host, [...(groups.get(host) ?? []), rank]));
  return [...groups.values()];
}
