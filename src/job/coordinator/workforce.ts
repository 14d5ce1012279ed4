import { runningClock } from '../../util/running-clock.js';
import { isGuest, type Member, type Roster } from './roster.js';
import type { ElasticOptions, Inherited } from './reform.js';
import { Returning } from './returning.js';
import { Separations } from './separations.js';

/** Milliseconds for which the job goes on without any worker whose place is kept. */
const unkeptMs = 30_000;

/**
 * The worker processes of an elastic job: which of them may be ranks together, which are to come, which are taken out. It
 * asks for others in their places, and ends those that are too many.
 */
export class Workforce {
  /** Workers that were taken out. */
  private readonly gone = new Set<number>();
  /** Workers that were started and have not joined yet, and when they were. */
  private readonly starting = new Map<number, number>();
  /** Workers of a job that was taken over which may still come. */
  private returning: Returning | undefined;
  private readonly separations = new Separations();
  /** When there was last a worker whose place is kept. */
  private keptAt = runningClock.now();

  constructor(
    private readonly roster: Roster,
    private readonly options: ElasticOptions,
  ) {}

  /** Expects the workers of a job that was taken over. */
  expect(former: Inherited): void {
    const { kept } = this.options;
    this.returning = new Returning({ ...former, ...(kept && { lostWithHost: [] }) }, runningClock.now());
  }

  /** Whether workers of a job that was taken over may still come. */
  get isExpecting(): boolean {
    return this.returning?.any ?? false;
  }

  /** A worker has come, or has come again. */
  arrived({ worker }: Member): void {
    this.starting.delete(worker);
    this.returning?.arrived(worker, runningClock.now());
  }

  /** Takes a member out whose process has ended, or is about to; asks for another one, unless its starter does. */
  takeOut(member: Member): void {
    this.roster.remove(member);
    this.gone.add(member.worker);
    if (!this.options.kept || member.home.rank === undefined) this.start(1);
  }

  /** Notes the end of a worker that is no member: `known` for one noted before, `expected` for one that was awaited. */
  endedOutside(worker: number): 'known' | 'expected' | 'unknown' {
    this.starting.delete(worker);
    if (this.gone.has(worker)) return 'known';
    this.gone.add(worker);
    return this.returning?.ended(worker) ? 'expected' : 'unknown';
  }

  /** Asks for so many workers. */
  start(count: number): void {
    for (let more = 0; more < count; more++) {
      const worker = this.options.startWorker();
      if (worker !== undefined) this.starting.set(worker, runningClock.now());
    }
  }

  /** Ends workers that were started and have not joined within so many milliseconds. */
  endUnjoined(now: number, withinMs: number): void {
    for (const [worker, since] of this.starting) {
      if (now - since <= withinMs) continue;
      this.starting.delete(worker);
      this.options.endWorker(worker);
    }
  }

  /** Waits no longer for workers that have not come in time; returns whether there were any. */
  dropLate(now: number): boolean {
    const { returning, options } = this;
    if (!returning) return false;
    this.start(returning.lost().length);
    const late = returning.late(now);
    for (const worker of late) {
      this.gone.add(worker);
      options.endWorker(worker);
      if (!returning.isReplaced(worker)) this.start(1);
    }
    return late.length > 0;
  }

  /** Whether others keep the places of the job, and none of their workers has been there for long: nobody wants it. */
  isAbandoned(now: number): boolean {
    const { roster, options } = this;
    if (!options.kept || roster.everybody.some(({ home }) => home.rank !== undefined)) this.keptAt = now;
    return now - this.keptAt > unkeptMs;
  }

  /** Keeps a member and others that it cannot connect to apart for a while; asks for workers in place of those left out. */
  separate({ worker }: Member, unreached: readonly number[]): void {
    const others = unreached.flatMap((rank) => this.roster.get(rank)?.worker ?? []);
    const before = this.candidates().length;
    this.separations.add(worker, others, runningClock.now());
    this.start(before - this.candidates().length);
  }

  /** Members that may be in a configuration together. */
  candidates(): Member[] {
    const { roster } = this;
    const now = runningClock.now();
    const spares = roster.spares.filter(({ liveness }) => liveness.silentMs(now) <= this.options.silentMs);
    return this.separations.together([...roster.members.values(), ...spares], now);
  }

  /** Asks for the workers that are missing to so many ranks and the spares. */
  fill(ranks: number): void {
    this.start(ranks + this.options.spares - this.roster.everybody.length);
  }

  /** Ends workers without a rank that are more than so many ranks and the spares need. */
  dismissSurplus(ranks: number): void {
    const { roster, options } = this;
    const own = roster.spares.filter((member) => !isGuest(member));
    const guests = roster.everybody.filter(isGuest).length;
    const surplus = Math.max(0, roster.everybody.length - guests - ranks - options.spares);
    for (const member of own.toReversed().slice(0, surplus)) {
      this.gone.add(member.worker);
      roster.remove(member);
      options.endWorker(member.worker);
    }
  }
}
