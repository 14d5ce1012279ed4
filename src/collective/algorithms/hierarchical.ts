import type { Context } from '../context.js';
import { consecutive, evenly, type Region } from '../regions.js';
import type { ReducingKind } from '../../transport/wire.js';
import type { Steps } from '../steps.js';
import type { Algorithm } from './algorithm.js';
import { smallest } from '../../util/extremes.js';

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
function* allReduce(context: Context): Steps {
  const { length } = context.command;
  const { own: ranks, columns, column } = gridOf(context);
  const bounds = evenly(0, length, columns);
  const parts = consecutive(Array.from({ length: ranks.length + 1 }, (_, index) => bounds[index] ?? length));
  const first = context.over({ ranks, parts, firstStep: 0 });
  yield* within('reduceScatter', first);
  if (first.rank < columns) {
    const peers = column(first.rank);
    const shares = consecutive(evenly(bounds[first.rank], bounds[first.rank + 1], peers.length));
    yield* across('allReduce', context.over({ ranks: peers, parts: shares, firstStep: acrossStep }));
  }
  yield* within('allGather', context.over({ ranks, parts, firstStep: gatherStep }));
}

function* reduceScatter(context: Context): Steps {
  const { host, peers } = phases(context, [0, acrossStep]);
  yield* within('reduceScatter', host);
  yield* across('reduceScatter', peers);
}

function* allGather(context: Context): Steps {
  const { host, peers } = phases(context, [gatherStep, acrossStep]);
  yield* across('allGather', peers);
  yield* within('allGather', host);
}

/** Within a host values are not compressed. */
function within(collective: ReducingKind, context: Context): Steps {
  return context.workspace.selection.runFlat(collective, context, 'float32');
}

function across(collective: ReducingKind, context: Context): Steps {
  return context.workspace.selection.runFlat(collective, context, context.command.wire);
}

/** Groups of ranks for the two phases of a reduce-scatter or an all-gather, with what belongs to whom in each. */
function phases(context: Context, [withinStep, columnStep]: [number, number]) {
  const { own: ranks, column } = gridOf(context);
  const partsOf = (owners: readonly number[]): Region[] => owners.flatMap((rank) => context.regions(rank));
  const parts = ranks.map((_, index) => partsOf(column(index)));
  const host = context.over({ ranks, parts, firstStep: withinStep });
  const peers = column(host.rank);
  const shards = peers.map((rank) => partsOf([rank]));
  return { host, peers: context.over({ ranks: peers, parts: shards, firstStep: columnStep }) };
}

/** How ranks lie on hosts. */
interface Grid {
  /** Ranks of this host. */
  own: readonly number[];
  hosts: number;
  /** Ranks that every host has. */
  columns: number;
  /** Whether all hosts have as many. */
  even: boolean;
  column(index: number): number[];
}

function gridOf({ workspace }: Context): Grid {
  const { hosts, rank } = workspace.links;
  const groups = groupByHost(hosts);
  const columns = smallest(groups.map((group) => group.length));
  return {
    own: groups.find((group) => group.includes(rank)) as number[],
    hosts: groups.length,
    columns,
    even: groups.every((group) => group.length === columns),
    column: (index) => groups.map((group) => group[index]),
  };
}

const known = new WeakMap<readonly string[], number[][]>();

/** Ranks by host, in rank order. */
function groupByHost(hosts: readonly string[]): number[][] {
  const before = known.get(hosts);
  if (before) return before;
  const byHost = new Map<string, number[]>();
  hosts.forEach((host, rank) => byHost.set(host, [...(byHost.get(host) ?? []), rank]));
  const groups = [...byHost.values()];
  known.set(hosts, groups);
  return groups;
}

export const hierarchical: Algorithm = {
  name: 'hierarchical',
  collectives: { allReduce, reduceScatter, allGather },
  summation: 'own',
  wire: 'any',
  cost: (collective, { bytes, worldSize, hosts = 1 }) => {
    const ranks = worldSize / hosts;
    const phases = collective === 'allReduce' ? 2 : 1;
    const sent = (ranks - 1) / ranks + (hosts - 1) / hosts / ranks;
    const hops = phases * (ranks - 1 + hosts - 1);
    return { hops, messages: hops, bytes: phases * sent * bytes };
  },
  fits: (context) => {
    const { hosts, even } = gridOf(context);
    if (hosts === 1 || hosts === context.worldSize) return false;
    return even || context.command.kind === 'allReduce';
  },
};
