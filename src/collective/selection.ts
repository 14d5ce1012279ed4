import { broadcast } from './algorithms/broadcast.js';
import { barrier, exchangeAllReduce } from './algorithms/exchange.js';
import { compressedAllReduce, compressedReduceScatter } from './algorithms/compressed-ring.js';
import { hierarchical } from './algorithms/hierarchical.js';
import { ringAllGather, ringAllReduce, ringReduceScatter } from './algorithms/ring.js';
import { scatterAllGather, scatterAllReduce, scatterReduceScatter } from './algorithms/scatter.js';
import type { Context } from './context.js';
import { quota } from './send-stage.js';
import type { ReducingKind } from './wire.js';

/** Where one way to carry out a collective ends and the next begins; src/collective/README.md has the measurements. */
export interface Thresholds {
  /** Blocking calls of at most this many bytes do not wait for others (`streams.ts`). */
  urgentBytes: number;
  /** Blocking sums within a host travel in messages over pipes where a rank writes at most this much. */
  pipeBytes: number;
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
  private readonly hierarchical: Partial<Record<ReducingKind, Algorithm>>;

  /** @param hosts each rank's host, by rank */
  constructor(
    private readonly thresholds: Thresholds,
    hosts: readonly string[],
  ) {
    this.hierarchical = hierarchical(hosts, {
      within: (kind, context) => this.plain(kind, context)(context),
      across: (kind, context) => this.flat(kind, context)(context),
    });
  }

  choose(context: Context): Algorithm {
    const { kind } = context.command;
    if (kind === 'broadcast') return broadcast;
    if (kind === 'barrier') return barrier;
    const reducing = kind as ReducingKind;
    const large = context.bytes >= this.thresholds.hierarchicalBytes;
    return (large && this.hierarchical[reducing]) || this.flat(reducing, context);
  }

  private flat(kind: ReducingKind, context: Context): Algorithm {
    if (context.command.wire === 'float32') return this.plain(kind, context);
    return kind === 'allReduce' ? compressedAllReduce : compressedReduceScatter;
  }

  /** Values as they are. */
  private plain(kind: ReducingKind, { bytes, worldSize }: Context): Algorithm {
    const { directBytes, ringBytes } = this.thresholds;
    const ring = bytes >= ringBytes;
    if (worldSize === 1) return async () => {};
    if (kind === 'reduceScatter') return ring ? ringReduceScatter : scatterReduceScatter;
    if (kind === 'allGather') return ring ? ringAllGather : scatterAllGather;
    if (ring) return ringAllReduce;
    const excess = (((worldSize - 1) * (worldSize - 2)) / worldSize) * bytes;
    return excess <= directBytes && bytes <= quota.exchange ? exchangeAllReduce : scatterAllReduce;
  }
}
