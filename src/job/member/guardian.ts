import { PodDistError } from '../../util/errors.js';
import type { MeetingFolder } from '../../transport/meeting-folder.js';
import { hasEnded } from '../../util/has-ended.js';
import { runningClock } from '../../util/running-clock.js';

interface GuardianOptions {
  guardParent: boolean;
  /** Process id of the program that started this worker, directly or not. */
  starter?: number;
  stallTimeoutMs: number;
}

const checkEveryMs = 500;
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
  ) {
    this.timer = setInterval(() => this.check(), checkEveryMs);
  }

  heardOfCoordinator(): void {
    this.lastWord = runningClock.now();
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
    if (silent < this.options.stallTimeoutMs + checkEveryMs * 4) return;
    this.close();
    this.endSoon(
      new PodDistError(
        'COORDINATOR_LOST',
        `no word from the coordinator for ${(silent / 1000).toFixed(1)} s`,
      ),
    );
  }

  private kill(): void {
    this.folder?.remove();
    process.kill(process.pid, 'SIGKILL');
  }
}
