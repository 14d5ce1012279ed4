import { largest } from '../../util/extremes.js';
import type { Member } from './roster.js';

interface Separation {
  pair: readonly [number, number];
  /** Until when it counts. */
  until: number;
}

/** Milliseconds for which two workers that could not connect are kept apart: doubled each time. */
const firstApartMs = 60_000;
const longestApartMs = 3_600_000;

/**
 * Workers that reach the coordinator and not each other, as where a network is parted. The job goes on with a group in
 * which all reach each other; those that are left out wait, and may come back later.
 */
export class Separations {
  private known: Separation[] = [];
  private apartMs = firstApartMs;

  /** Takes down that a worker cannot connect to these others. */
  add(worker: number, others: readonly number[], now: number): void {
    this.forget(now);
    const until = now + this.apartMs;
    for (const other of others) this.known.push({ pair: [worker, other], until });
    if (others.length > 0) this.apartMs = Math.min(longestApartMs, 2 * this.apartMs);
  }

  /**
   * Members that all reach each other: leaves out one after the other, each the one that most others do not reach, of equals
   * the last.
   */
  together(members: readonly Member[], now: number): Member[] {
    this.forget(now);
    const group = [...members];
    for (;;) {
      const workers = new Set(group.map(({ worker }) => worker));
      const apart = this.known.filter(({ pair }) => pair.every((worker) => workers.has(worker)));
      if (apart.length === 0) return group;
      const missed = group.map(({ worker }) => {
        const others = apart.filter(({ pair }) => pair.includes(worker)).flatMap(({ pair }) => pair);
        return new Set(others).size;
      });
      group.splice(missed.lastIndexOf(largest(missed)), 1);
    }
  }

  private forget(now: number): void {
    this.known = this.known.filter(({ until }) => until > now);
  }
}
