import { PodDistError } from '../util/errors.js';
import { runningClock } from '../util/running-clock.js';
import type { Command } from './channel.js';

const everyMs = 100;
const slowMs = 1000;

/** A server of collectives, one at a time. */
export interface Watched {
  /** The collective under way. */
  readonly running: Command | undefined;
  /** Rank that it waits for. */
  readonly waitingFor: number | undefined;
}

interface WatchdogOptions {
  rank: number;
  /** Called with the reason why no rank can go on. */
  fail(error: PodDistError): void;
  /** Called about once a second while a collective takes long. */
  slow(watched: Watched, command: Command): void;
  /** Called at each check, ten times a second. */
  look(): void;
}

/** A collective under way, and the time at which it was first seen. */
interface Seen {
  sequence: number;
  since: number;
  reported: number;
}

/**
 * Ends collectives that are under way past their deadline. The communication thread checks, ten times a second, the
 * streams that it serves and the call that the compute thread is blocked in.
 */
export class Watchdog {
  private readonly timer: NodeJS.Timeout;
  private readonly seen: Map<Watched, Seen>;

  constructor(
    watched: readonly Watched[],
    private readonly options: WatchdogOptions,
  ) {
    this.seen = new Map(watched.map((one) => [one, { sequence: 0, since: 0, reported: 0 }]));
    this.timer = setInterval(() => this.look(), everyMs);
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** Milliseconds that the collective has been under way, as far as it was seen. */
  forMs(watched: Watched): number {
    const seen = this.seen.get(watched);
    return seen && watched.running?.sequence === seen.sequence ? runningClock.now() - seen.since : 0;
  }

  private look(): void {
    this.options.look();
    const now = runningClock.now();
    for (const [watched, seen] of this.seen) {
      const { running } = watched;
      if (!running) continue;
      if (running.sequence !== seen.sequence) {
        Object.assign(seen, { sequence: running.sequence, since: now, reported: now });
      } else if (now - seen.since >= running.timeoutMs) {
        this.options.fail(this.late(running, watched.waitingFor));
      } else if (now - seen.reported >= slowMs) {
        seen.reported = now;
        this.options.slow(watched, running);
      }
    }
  }

  private late({ kind, tag, sequence, timeoutMs }: Command, peer: number | undefined): PodDistError {
    return new PodDistError(
      'COLLECTIVE_TIMEOUT',
      `rank ${this.options.rank} has waited ${timeoutMs / 1000} s in ${kind} '${tag}' (collective ${sequence}) for rank ${peer}`,
    );
  }
}
