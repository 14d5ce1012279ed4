import { smallest } from '../../util/extremes.js';
import { runningClock } from '../../util/running-clock.js';
import { Budget } from './budget.js';
import { linkLost, stalled, type Cause } from './causes.js';
import { describeFailure, evidence, wouldComeAgain, type JobFailure } from './failure.js';
import { FaultReports } from './fault-reports.js';
import type { Mail } from './mail.js';
import { PlannedChange } from './planned-change.js';
import { formGroup, Reform, type ElasticOptions, type Inherited } from './reform.js';
import type { Rendezvous } from './rendezvous.js';
import { isGuest, type Member, type Roster } from './roster.js';
import { Workforce } from './workforce.js';

/** Milliseconds after which workers are started here for places that others keep, and do not fill. */
const fillWithinMs = 20_000;
/** The job, as its recovery sees it. */
export interface ElasticJob {
  readonly roster: Roster;
  readonly mail: Mail;
  readonly rendezvous: Rendezvous;
  /** Milliseconds until all evidence of one failure has come. */
  readonly graceMs: number;
  /** Milliseconds that a change of configuration may take. */
  readonly joinTimeoutMs: number;
  /** Whether it has begun and has neither ended nor failed. */
  underWay(): boolean;
  /** Ends the job. */
  fail(cause: Cause): void;
}

/**
 * Keeps an elastic job going: on evidence of a fault it ends the present configuration, waits until every rank that lives
 * has left it, and begins the next one without the member that was lost.
 *
 *     evidence        an exit that the supervisor saw, a report, a lost connection, silence
 *     reform g + 1    to every rank; each leaves its collectives and says which snapshots it has
 *     plan g + 1      new ranks, new keys, and the newest snapshot of which every piece is there
 *
 * A rank that does not answer is ended. What a rank says of the configuration before is ignored, and so is evidence of
 * a fault that is known.
 */
export class Recovery {
  private reform: Reform | undefined;
  private readonly reports: FaultReports;
  private readonly budget: Budget;
  /** Numbers of ranks that the job may go on with, ascending. */
  private sizes: readonly number[];
  /** Whether a step has been made: before that no fault is worth a second try. */
  private stepped = false;
  private readonly workforce: Workforce;
  /** When a worker has last joined. */
  private joinedAt = runningClock.now();
  private planned: PlannedChange | undefined;

  constructor(
    private readonly job: ElasticJob,
    private readonly options: ElasticOptions,
  ) {
    const { worldSize } = job.rendezvous.generation;
    this.budget = new Budget(worldSize, options, Date.now(), options.faults);
    this.sizes = options.sizes;
    this.workforce = new Workforce(job.roster, options);
    this.reports = new FaultReports(job, (incident) => options.onIncident(incident, this.budget.faults));
  }

  /** Number of the configuration that ranks are to be ready for; undefined while one is in place. */
  get next(): number | undefined {
    return this.reform?.generation;
  }

  /** Takes over a job whose coordinator has ended: waits for its workers, and begins the next generation with them. */
  inherit(former: Inherited): void {
    const { generation, lostMs } = former;
    this.stepped = true;
    this.workforce.expect(former);
    const cause: Cause = [
      { code: 'COORDINATOR_LOST', cause: 'the process of the coordinator was lost', user: false },
      evidence.signal,
    ];
    if (!this.budget.take(Date.now())) return this.job.fail(cause);
    this.options.onReform?.(generation + 1);
    this.reform = new Reform(generation + 1, cause, runningClock.now() - lostMs);
  }

  /** Goes on with one of these numbers of ranks, the last one if it can be. */
  resize(sizes: readonly number[]): void {
    this.sizes = sizes;
    this.workforce.fill(this.wanted);
    if (!this.job.underWay() || this.reform) return;
    if (this.wanted >= this.worldSize) return this.grow();
    this.plan([
      { code: 'REFORMING', cause: `workers asked for: ${this.wanted}`, user: false },
      evidence.stall,
    ]);
  }

  /** Called once a step has been recorded. */
  hasStepped(): void {
    this.stepped = true;
  }

  /** Takes evidence of a failure, of `member` where it is known whose; ends the job where it cannot go on from that. */
  blame(cause: Cause, member?: Member): void {
    const [failure] = cause;
    const may = !failure.user && !wouldComeAgain(failure.code);
    if (may && this.reform) return this.reform.consider(cause);
    if (may && !this.isOfRank(failure) && this.reports.explain(cause)) return;
    if (!may || !this.stepped || !this.job.underWay() || !this.budget.take(Date.now()))
      return this.job.fail(cause);
    if (!member || member.rank !== undefined) this.begin(cause);
  }

  /** Whether a failure is that of a process which has a rank in the present configuration: what was before is known. */
  private isOfRank({ host, pid }: JobFailure): boolean {
    return [...this.job.roster.members.values()].some((one) => one.pid === pid && one.host === host);
  }

  /** Takes out a member whose process has ended, or is about to; asks for another worker. */
  lose(member: Member): void {
    if (!this.job.underWay()) return;
    this.workforce.takeOut(member);
    this.tryToForm();
  }

  /** A worker process has ended that was never a member, or is none any more. */
  exitedOutside(worker: number, cause: Cause): void {
    const news = this.workforce.endedOutside(worker);
    if (news === 'known') return;
    if (news === 'unknown' && (!this.stepped || !this.budget.take(Date.now()))) return this.job.fail(cause);
    if (!this.job.underWay()) return;
    this.workforce.start(1);
    this.tryToForm();
  }

  /** Takes a member out, and ends its process; one of another host may come again. */
  fence(member: Member): void {
    const type = isGuest(member) ? 'dropped' : 'abort';
    this.job.mail.to(member, {
      type,
      message: 'it was silent for too long, and the others go on without it',
    });
    this.options.endWorker(member.worker);
    this.lose(member);
  }

  /** How long a rank has been silent, where that is too long. */
  silence({ liveness }: Member, now: number): string | undefined {
    const silent = liveness.silentMs(now);
    return silent > this.options.silentMs
      ? `stalled: no sign of life for ${(silent / 1000).toFixed(1)} s`
      : undefined;
  }

  /** The ranks to begin with, where not all have joined and no other has for a while; undefined: it waits for more. */
  firstGroup(now: number): Member[] | undefined {
    const { lastCallMs = Infinity } = this.options;
    if (now - this.joinedAt < lastCallMs) return undefined;
    return formGroup([...this.job.roster.members.values()], this.sizes)?.group;
  }

  /** A worker has joined. */
  joined(member: Member): void {
    this.joinedAt = runningClock.now();
    this.workforce.arrived(member);
    if (this.reform) this.tryToForm();
    else if (this.job.underWay()) this.grow();
    if (!this.reform && !this.planned) this.workforce.dismissSurplus(this.wanted);
  }

  /** A rank has joined again, that has heard of `generation`; says what it has to be ready for. */
  joinedAgain(member: Member, generation: number): void {
    if (!this.reform) {
      const cause = linkLost({ rank: member.rank, host: member.host, pid: member.pid });
      if (this.job.underWay() && this.budget.take(Date.now())) return this.begin(cause);
      return this.job.fail(cause);
    }
    this.workforce.arrived(member);
    if (generation >= this.reform.generation) this.renumber(generation + 1);
    else this.job.mail.to(member, this.reformMessage(this.reform));
  }

  /** A member could not connect to these ranks of its configuration: they are not put together again for a while. */
  apart(member: Member, unreached: readonly number[]): void {
    this.workforce.separate(member, unreached);
  }

  /** A member has taken the snapshot of this moment. */
  sealed(member: Member, at: number): void {
    const { planned, job } = this;
    if (!planned || this.reform) return;
    if (planned.seal(member, at, job.roster.members.values()) && job.underWay()) this.begin(planned.cause);
  }

  ready(member: Member, generation: number, held: NonNullable<Member['ready']>): void {
    if (generation !== this.next) return;
    member.ready = held;
    this.tryToForm();
  }

  /** Called several times a second. */
  check(now: number): void {
    const { reform, job, options } = this;
    if (!reform) return;
    this.replaceStuckSpares(now);
    for (const member of reform.late(job.roster.members.values(), now, options.silentMs)) this.fence(member);
    if (this.workforce.dropLate(now)) this.tryToForm();
    if (options.kept && !reform.helped && now - reform.began > fillWithinMs) {
      reform.helped = true;
      this.workforce.start(smallest(this.sizes) - this.workforce.candidates().length);
    }
    this.endWithoutTasks(now);
    if (now - reform.began > job.joinTimeoutMs) job.fail([this.unfilled(reform.failure), evidence.signal]);
  }

  /** A failure after which too few workers are left, and no others have come. */
  private unfilled(failure: JobFailure): JobFailure {
    const left = this.workforce.candidates().length;
    const within = `${left} of ${smallest(this.sizes)} workers are left, and no others have come within ${this.job.joinTimeoutMs / 1000} s`;
    const cause = `${failure.cause}; ${within}: start what is lost again, let other hosts join the run (pod-dist join), or go on with --resume`;
    return { ...failure, cause };
  }

  /** Called several times a second while a configuration is in place. */
  rest(now: number): void {
    const { planned, job } = this;
    this.endWithoutTasks(now);
    this.replaceStuckSpares(now);
    if (planned?.isDue(now) && job.underWay()) this.begin(planned.cause);
  }

  /** Ends workers of the job's own that do not join, or fall silent before they have a rank; others are started. */
  private replaceStuckSpares(now: number): void {
    this.workforce.endUnjoined(now, this.job.joinTimeoutMs / 2);
    for (const member of this.job.roster.spares.filter((one) => !isGuest(one))) {
      const silence = this.silence(member, now);
      if (silence === undefined) continue;
      if (!this.budget.take(Date.now())) return this.job.fail(stalled(member, silence));
      this.fence(member);
    }
  }

  /** Ends a job whose places others keep, where none of them is left: nobody wants it any more. */
  private endWithoutTasks(now: number): void {
    if (this.workforce.isAbandoned(now))
      this.job.fail([
        { code: 'JOB_ABORTED', cause: 'no task of the job is left', user: false },
        evidence.stopped,
      ]);
  }

  /** The ranks of the present configuration go on. */
  going(now: number): void {
    this.reports.going(now);
  }

  /** Reports what is not reported yet. */
  stop(): void {
    this.reports.stop();
  }

  /** Ends the present configuration; every rank that lives leaves it and says what it can go on from. */
  private begin(cause: Cause): void {
    const { roster, rendezvous } = this.job;
    this.planned = undefined;
    const number = rendezvous.generation.number + 1;
    this.reform = new Reform(number, cause, runningClock.now());
    this.announce(this.reform, roster);
  }

  /** Gives the change under way another number: a rank has heard of one with its own. */
  private renumber(generation: number): void {
    const { reform, job } = this;
    if (!reform) return;
    reform.generation = generation;
    this.announce(reform, job.roster);
  }

  private announce(reform: Reform, roster: Roster): void {
    this.options.onReform?.(reform.generation);
    for (const member of roster.members.values()) member.ready = undefined;
    this.job.mail.toRanks(this.reformMessage(reform));
  }

  private reformMessage({ generation, failure }: Reform) {
    return { type: 'reform', generation, message: describeFailure(failure) } as const;
  }

  /** Begins a configuration of more ranks, where the present one has fewer than are wanted and enough have joined. */
  private grow(): void {
    const there = this.workforce.candidates().length;
    const size = this.sizes.findLast((one) => one <= there) ?? 0;
    if (size <= this.worldSize) return;
    this.plan([{ code: 'REFORMING', cause: `${size} workers are there`, user: false }, evidence.stall]);
  }

  /** Begins a change once every rank has taken its next snapshot. */
  private plan(cause: Cause): void {
    this.planned = new PlannedChange(cause);
  }

  /** Begins the next configuration once everybody who lives is ready, and they are enough. */
  private tryToForm(): void {
    const { reform, job, options } = this;
    if (!reform) return;
    const survivors = [...job.roster.members.values()];
    if (this.workforce.isExpecting || !survivors.every(({ ready }) => ready)) return;
    const recorded = options.recordedSteps?.();
    const formation = formGroup(this.workforce.candidates(), this.sizes, recorded);
    if (!formation) return;
    this.reports.add(reform);
    this.reform = undefined;
    job.rendezvous.begin(reform.generation, formation);
    this.workforce.dismissSurplus(this.wanted);
  }

  /** Number of ranks that the job is to have. */
  private get wanted(): number {
    return this.sizes.at(-1) ?? 0;
  }

  /** Number of ranks in the present configuration. */
  private get worldSize(): number {
    return this.job.rendezvous.generation.worldSize;
  }
}
