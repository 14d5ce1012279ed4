import { setTimeout as delay } from 'node:timers/promises';
import { StoppedError } from '../../util/errors.js';
import type { EndRequests } from '../../util/signals.js';

/** Requests to end the work of a rank. */
export interface WorkStop {
  /** Set once the rank has joined its job: reports an error to the other ranks. */
  member?: { fail(error: unknown): Promise<void> };
  /** Stops it between two batches. */
  readonly signal?: AbortSignal;
  /** Asks for the end after the step under way, with a checkpoint; its reason is an `EndCause`. */
  readonly ending?: AbortSignal;
}

/** Milliseconds that a worker may take to end after it has reported a signal to its job. */
const endWithinMs = 2500;

/** Stops the work of a worker at a signal. */
export class WorkerStop implements WorkStop {
  /** Reports the signal to the rest of the job; undefined until the rank has joined. */
  member: WorkStop['member'];
  private readonly controller = new AbortController();
  private readonly stopped: Promise<never>;
  private giveUp!: (error: StoppedError) => void;

  private constructor(
    /** Asks for the end after the step under way, with a checkpoint. */
    readonly ending: AbortSignal,
    private readonly advice: string | undefined,
  ) {
    this.stopped = new Promise((_, reject) => (this.giveUp = reject));
  }

  /** Ends the work of this thread between two batches. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /**
   * Runs the work of a worker that torchrun, Slurm or MPI have started, under `requests` for its end. A signal that
   * is to stop it stops the whole job: this rank reports it to the coordinator, which stops the others. Rejects with
   * `StoppedError`, at once where the rank has not joined or where a second signal comes, else once the work has ended;
   * its message ends with `advice`.
   */
  static async run<T>(
    work: (stop: WorkerStop) => Promise<T>,
    { requests, advice }: { requests: EndRequests; advice?: string },
  ): Promise<T> {
    const { ending, stopping } = requests;
    const stop = new WorkerStop(ending, advice);
    let by: string | undefined;
    const following = stopping((name = '') => {
      if (by === undefined) stop.begin(name);
      else stop.giveUp(new StoppedError(name, { advice }));
      by = name;
    });
    try {
      return await Promise.race([work(stop), stop.stopped]);
    } catch (error) {
      throw by === undefined ? error : new StoppedError(by, { cause: error, advice });
    } finally {
      following.stop();
    }
  }

  private begin(name: string): void {
    this.controller.abort(name);
    const error = new StoppedError(name, { advice: this.advice });
    if (!this.member) return this.giveUp(error);
    void this.member.fail(error);
    void delay(endWithinMs, undefined, { ref: false }).then(() => this.giveUp(error));
  }
}
