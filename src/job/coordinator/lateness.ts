import { largest } from '../../util/extremes.js';

/** The part of a rank's heartbeat about the collectives of one stream. */
export interface Collectives {
  /** Number of the last one that it has begun, as the program counts them over all streams. */
  begun: number;
  /** Name of the collective under way, such as `allReduce 'gradients'`; empty: none. */
  name: string;
  /** Milliseconds since that one began. */
  forMs: number;
}

interface Known {
  /** Progress by stream. */
  collectives: readonly Collectives[];
  heard: number;
}

export interface LateRank {
  rank: number;
  /** Ranks that wait for it. */
  waiting: number[];
  /** Collective that the rank which has waited longest waits in. */
  name: string;
  waitedMs: number;
}

/** Describes the wait for a late rank: the ranks that wait, since when and in which collective. */
export function describeWait({ waiting, name, waitedMs }: LateRank): string {
  const ranks = waiting.toSorted((a, b) => a - b).join(', ');
  const have = waiting.length > 1 ? 'have' : 'has';
  return `rank ${ranks} ${have} waited ${(waitedMs / 1000).toFixed(1)} s for it in ${name}`;
}

/**
 * Finds the stragglers, the ranks that others wait for: those that have not begun a collective in which another rank
 * has been for longer than the warning time, and those of which nothing is heard meanwhile. Only collectives of one
 * stream are compared, since streams do not wait for each other.
 */
export class Lateness {
  private readonly known = new Map<number, Known>();
  /** Last collective that each rank has been named for, by rank. */
  private readonly named = new Map<number, number>();

  constructor(private readonly warningMs: number) {}

  beat(rank: number, collectives: readonly Collectives[], now: number): void {
    this.known.set(rank, { collectives, heard: now });
  }

  /** Late ranks that have not been named for the collective they are late for. */
  find(now: number): LateRank[] {
    const late = new Map<number, LateRank>();
    for (const [waiting, { collectives, heard }] of this.known) {
      if (now - heard > this.warningMs) continue;
      for (const [stream, own] of collectives.entries()) {
        const waitedMs = own.forMs + now - heard;
        if (own.name === '' || waitedMs < this.warningMs) continue;
        for (const [rank, other] of this.known) {
          const missing = begunBy(other, stream) < own.begun || now - other.heard > this.warningMs;
          if (rank === waiting || !missing || (this.named.get(rank) ?? 0) >= own.begun) continue;
          const entry = late.get(rank) ?? { rank, waiting: [], name: own.name, waitedMs: 0 };
          if (!entry.waiting.includes(waiting)) entry.waiting.push(waiting);
          if (waitedMs > entry.waitedMs) Object.assign(entry, { name: own.name, waitedMs });
          late.set(rank, entry);
        }
      }
    }
    const begun = [...this.known.values()].flatMap(({ collectives }) => collectives.map((own) => own.begun));
    const latest = Math.max(0, largest(begun));
    for (const rank of late.keys()) this.named.set(rank, latest);
    return [...late.values()];
  }
}

function begunBy({ collectives }: Known, stream: number): number {
  return collectives[stream]?.begun ?? 0;
}
