import type { PodDistError } from '../../util/errors.js';
import type { MeetingFolder } from '../../transport/meeting-folder.js';
import type { Succession } from './succession.js';
import { hasEnded } from '../../util/processes.js';
import { LeaseWatch } from '../../record/lease-watch.js';
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
/** Milliseconds without a word after which the coordinator counts as lost, whether or not it holds the run folder. */
const successionAfterMs = 10_000;
/** Milliseconds without a word after which the run folder is asked whether it does. */
const doubtAfterMs = 700;
/** A stopped worker's compute thread has this long to end by itself. */
const endWithinMs = 3000;

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
  /** Watches the run folder while the coordinator is silent. */
  private lease: LeaseWatch | undefined;

  constructor(
    private readonly options: GuardianOptions,
    private readonly fail: (error: PodDistError) => void,
    /** Called when the coordinator has said nothing for too long, with what has watched the run folder meanwhile. */
    private readonly onSilence: (reason: string, lease: LeaseWatch | undefined) => void,
  ) {
    this.timer = setInterval(() => this.check(), checkEveryMs);
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
  }

  private check(): void {
    const { guardParent, starter } = this.options;
    if (guardParent && process.ppid !== this.parent) this.kill();
    if (starter !== undefined && hasEnded(starter)) this.kill();
    if (this.lastWord === undefined) return;
    const silent = runningClock.now() - this.lastWord;
    const { stallTimeoutMs } = this.options;
    const succession = this.options.succession();
    const most = stallTimeoutMs + checkEveryMs * 4;
    const limit = succession ? Math.min(most, successionAfterMs) : most;
    if (silent < limit && !this.hasExpired(succession, silent)) return;
    const { lease } = this;
    this.lease = undefined;
    this.pause();
    this.onSilence(`no word from the coordinator for ${(silent / 1000).toFixed(1)} s`, lease);
  }

  /** Whether a silent coordinator has not touched its lock for long, either. */
  private hasExpired(succession: Succession | undefined, silentMs: number): boolean {
    if (silentMs < doubtAfterMs || succession?.folder === undefined) {
      this.lease = undefined;
      return false;
    }
    this.lease ??= new LeaseWatch(succession.folder);
    return this.lease.look() >= leaseMs;
  }

  private kill(): void {
    this.folder?.remove();
    process.kill(process.pid, 'SIGKILL');
  }
}
