/** What a rank's beat says of its collectives. */
export interface Collectives {
  /** How many it has begun. */
  begun: number;
  /** The one under way, such as `allReduce 'gradients'`; empty: none. */
  name: string;
  /** Milliseconds since that one began. */
  forMs: number;
}

interface Known extends Collectives {
  heard: number;
}

export interface LateRank {
  rank: number;
  /** Ranks that wait for it. */
  waiting: number[];
  name: string;
  /** How long the longest of them has waited. */
  waitedMs: number;
}

/**
 * Finds the ranks that others wait for: those that have not begun a collective in which another rank has been for
 * longer than the warning time, and those of which nothing is heard meanwhile.
 */
export class Lateness {
  private readonly known = new Map<number, Known>();
  private readonly named = new Map<number, number>();

  constructor(private readonly warningMs: number) {}

  beat(rank: number, collectives: Collectives, now: number): void {
    this.known.set(rank, { ...collectives, heard: now });
  }

  /** Late ranks that have not been named for the collective they are late for. */
  find(now: number): LateRank[] {
    const late = new Map<number, LateRank>();
    for (const [waiting, own] of this.known) {
      const waitedMs = own.forMs + now - own.heard;
      const silent = now - own.heard > this.warningMs;
      if (own.name === '' || waitedMs < this.warningMs || silent) continue;
      for (const [rank, other] of this.known) {
        const missing = other.begun < own.begun || now - other.heard > this.warningMs;
        if (rank === waiting || !missing || (this.named.get(rank) ?? 0) >= own.begun) continue;
        const entry = late.get(rank) ?? { rank, waiting: [], name: own.name, waitedMs: 0 };
        entry.waiting.push(waiting);
        entry.waitedMs = Math.max(entry.waitedMs, waitedMs);
        late.set(rank, entry);
      }
    }
    const latest = Math.max(0, ...[...this.known.values()].map(({ begun }) => begun));
    for (const rank of late.keys()) this.named.set(rank, latest);
    return [...late.values()];
  }
}
