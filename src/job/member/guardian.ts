import type { PodDistError } from '../../util/errors.js';
import type { MeetingFolder } from '../../transport/meeting-folder.js';
import type { Succession } from './succession.js';
import { hasEnded } from '../../util/processes.js';
import { LeaseWatch } from '../../record/lease-watch.js';
import { readJobState } from '../../record/job-state.js';
import { leaseMs } from '../../record/run-lock.js';
import { runningClock } from '../../util/running-clock.js';

interface GuardianOptions {
  guardParent: boolean;
  /** Process id of the program that started this worker, directly or not. */
  starter?: number;
  stallTimeoutMs: number;
  /** Where another coordinator takes over from one that is lost. */
  succession(): Succession | undefined;
}

const checkEveryMs = 500;
/** Milliseconds between two looks at the coordinator's silence. */
const listenEveryMs = 100;
/** Milliseconds before a coordinator's time is over at which whoever takes over is prepared. */
const aheadMs = 1500;
/** Milliseconds without a word after which the coordinator counts as lost, whether or not it holds the run folder. */
const successionAfterMs = 10_000;
/** Milliseconds without a word after which the run folder is asked whether it does. */
const doubtAfterMs = 700;
/** A stopped worker's compute thread has this long to end by itself. */
const endWithinMs = 3000;

/** Facts about a silent coordinator: what has watched the run folder, and whether somebody is prepared to take over. */
export interface KnownOfSilence {
  lease?: LeaseWatch;
  ahead: boolean;
}

/**
 * Ends the worker's process when nobody else would: with its parent, with the program that started it, with its
 * coordinator, or after the job was stopped while the compute thread is stuck. It runs in the communication thread and
 * does not depend on the compute thread.
 */
export class Guardian {
  /** Removed before the process is killed. */
  folder: MeetingFolder | undefined;
  private readonly parent = process.ppid;
  private readonly timer: NodeJS.Timeout;
  private lastWord: number | undefined;
  private readonly listening: NodeJS.Timeout;
  /** Watches the run folder while the coordinator is silent. */
  private lease: LeaseWatch | undefined;
  /** Whether somebody was prepared to take over. */
  private ahead = false;

  constructor(
    private readonly options: GuardianOptions,
    private readonly fail: (error: PodDistError) => void,
    /** Called when the coordinator has said nothing for too long, with what is known by then. */
    private readonly onSilence: (reason: string, known: KnownOfSilence) => void,
    /** Called some time before, with the milliseconds that are left; returns whether somebody is prepared to take over. */
    private readonly onDoubt: (inMs: number) => boolean,
  ) {
    this.timer = setInterval(() => this.check(), checkEveryMs);
    this.listening = setInterval(() => this.listen(), listenEveryMs);
  }

  heardOfCoordinator(): void {
    this.lastWord = runningClock.now();
  }

  /** Expects no word of a coordinator until there is one again. */
  pause(): void {
    this.lastWord = undefined;
  }

  /** Lets the compute thread see `error`, and kills the process if it does not end. */
  endSoon(error: PodDistError): void {
    this.fail(error);
    setTimeout(() => this.kill(), endWithinMs).unref();
  }

  close(): void {
    clearInterval(this.timer);
    clearInterval(this.listening);
  }

  private check(): void {
    const { guardParent, starter } = this.options;
    if (guardParent && process.ppid !== this.parent) this.kill();
    if (starter !== undefined && hasEnded(starter)) this.kill();
  }

  private listen(): void {
    if (this.lastWord === undefined) return;
    const silent = runningClock.now() - this.lastWord;
    const { stallTimeoutMs } = this.options;
    const succession = this.options.succession();
    const most = stallTimeoutMs + checkEveryMs * 4;
    const limit = succession ? Math.min(most, successionAfterMs) : most;
    if (silent < limit && !this.hasExpired(succession, silent)) return;
    const { lease, ahead } = this;
    this.lease = undefined;
    this.ahead = false;
    this.pause();
    this.onSilence(`no word from the coordinator for ${(silent / 1000).toFixed(1)} s`, { lease, ahead });
  }

  /** Whether a silent coordinator has not touched its lock for long, either, or another one has taken over. */
  private hasExpired(succession: Succession | undefined, silentMs: number): boolean {
    if (silentMs < doubtAfterMs || succession?.folder === undefined) {
      this.lease = undefined;
      this.ahead = false;
      return false;
    }
    this.lease ??= new LeaseWatch(succession.folder);
    const untouchedMs = this.lease.look();
    if (untouchedMs >= leaseMs - aheadMs) this.ahead ||= this.onDoubt(leaseMs - untouchedMs);
    return untouchedMs >= leaseMs || (readJobState(succession.folder)?.term ?? 0) > succession.term;
  }

  private kill(): void {
    this.folder?.remove();
    process.kill(process.pid, 'SIGKILL');
  }
}
