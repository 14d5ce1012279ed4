import { runningClock } from '../../util/running-clock.js';
import type { Cause } from './causes.js';
import type { Member } from './roster.js';

/** Milliseconds that a change which nobody is in a hurry for waits for the next snapshot. */
const withinMs = 5000;

/** A change of the ranks that waits for a snapshot of all of them, so that no step is made again. */
export class PlannedChange {
  private readonly since = runningClock.now();
  /** Moments of the last snapshots. */
  private readonly sealed = new Map<Member, number>();

  constructor(readonly cause: Cause) {}

  /** A rank has taken the snapshot of this moment; returns whether all of these have. */
  seal(member: Member, at: number, ranks: Iterable<Member>): boolean {
    this.sealed.set(member, at);
    return [...ranks].every((one) => this.sealed.get(one) === at);
  }

  /** Whether it waits no longer. */
  isDue(now: number): boolean {
    return now - this.since > withinMs;
  }
}
