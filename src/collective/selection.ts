import { broadcast } from './algorithms/broadcast.js';
import { barrier, exchangeAllReduce } from './algorithms/exchange.js';
import { compressedAllReduce, compressedReduceScatter } from './algorithms/compressed-ring.js';
import { groupByHost, hierarchicalAllReduce } from './algorithms/hierarchical.js';
import { ringAllGather, ringAllReduce, ringReduceScatter } from './algorithms/ring.js';
import { scatterAllGather, scatterAllReduce, scatterReduceScatter } from './algorithms/scatter.js';
import type { Context } from './context.js';
import { quota } from './send-stage.js';

/** Where one algorithm ends and the next begins; src/collective/README.md has the measurements. */
export interface Thresholds {
  /** A one-hop exchange may send up to this many bytes more than the least possible. */
  directBytes: number;
  /** From this payload on, the ring. */
  ringBytes: number;
  /** From this payload on, within hosts and then across, where ranks share hosts. */
  hierarchicalBytes: number;
}

type Algorithm = (context: Context) => Promise<void>;

/** Chooses the algorithm of a collective by its size, the number of ranks and where they are. */
export class Selection {
  private readonly hierarchical: Algorithm | undefined;

  /** @param hosts each rank's host, by rank */
  constructor(
    private readonly thresholds: Thresholds,
    hosts: readonly string[],
  ) {
    const groups = groupByHost(hosts);
    if (groups.length === 1 || groups.length === hosts.length) return;
    this.hierarchical = hierarchicalAllReduce(hosts, {
      reduceScatter: (context) => this.flat('reduceScatter', context)(context),
      allReduce: (context) => this.flat('allReduce', context)(context),
      allGather: (context) => this.flat('allGather', context)(context),
    });
  }

  choose(context: Context): Algorithm {
    const { kind, wire } = context.command;
    if (kind === 'broadcast') return broadcast;
    if (kind === 'barrier') return barrier;
    if (wire === 'bf16') return kind === 'allReduce' ? compressedAllReduce : compressedReduceScatter;
    const large = bytesOf(context) >= this.thresholds.hierarchicalBytes;
    if (kind === 'allReduce' && this.hierarchical && large) return this.hierarchical;
    return this.flat(kind as 'allReduce' | 'reduceScatter' | 'allGather', context);
  }

  private flat(kind: 'allReduce' | 'reduceScatter' | 'allGather', context: Context): Algorithm {
    const { directBytes, ringBytes } = this.thresholds;
    const { worldSize } = context;
    const bytes = bytesOf(context);
    const ring = bytes >= ringBytes;
    if (worldSize === 1) return async () => {};
    if (kind === 'reduceScatter') return ring ? ringReduceScatter : scatterReduceScatter;
    if (kind === 'allGather') return ring ? ringAllGather : scatterAllGather;
    if (ring) return ringAllReduce;
    const excess = (((worldSize - 1) * (worldSize - 2)) / worldSize) * bytes;
    return excess <= directBytes && bytes <= quota.exchange ? exchangeAllReduce : scatterAllReduce;
  }
}

function bytesOf(context: Context): number {
  const [start, end] = context.range;
  return end - start;
}
