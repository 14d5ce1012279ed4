import type { PodDistError } from '../../util/errors.js';
import type { MeetingFolder } from '../../transport/meeting-folder.js';
import { hasEnded } from '../../util/processes.js';
import { runningClock } from '../../util/running-clock.js';

interface GuardianOptions {
  guardParent: boolean;
  /** Process id of the program that started this worker, directly or not. */
  starter?: number;
  stallTimeoutMs: number;
  /** Set where another coordinator takes over from one that is lost. */
  succession?: string;
}

const checkEveryMs = 500;
/** Milliseconds without a word after which another coordinator takes over. */
const successionAfterMs = 10_000;
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

  constructor(
    private readonly options: GuardianOptions,
    private readonly fail: (error: PodDistError) => void,
    /** Called when the coordinator has said nothing for too long. */
    private readonly onSilence: (reason: string) => void,
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
    const { succession, stallTimeoutMs } = this.options;
    const most = stallTimeoutMs + checkEveryMs * 4;
    if (silent < (succession === undefined ? most : Math.min(most, successionAfterMs))) return;
    this.pause();
    this.onSilence(`no word from the coordinator for ${(silent / 1000).toFixed(1)} s`);
  }

  private kill(): void {
    this.folder?.remove();
    process.kill(process.pid, 'SIGKILL');
  }
}
