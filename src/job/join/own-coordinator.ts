import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import type { Config } from '../../config/schema.js';
import { loggingEndsWithinMs } from '../../logging/run-logging.js';
import { errorOf, type JobEnd } from '../../record/job-end.js';
import type { Position, Report } from '../../record/records.js';
import { PodDistError } from '../../util/errors.js';
import { startSocketThread } from '../../transport/zmq/socket-thread.js';

export interface OwnCoordinatorOptions {
  /** Address to listen on; `*`: all. */
  listenOn: string;
  /** This host as other hosts reach it, where they do. */
  reachableAs?: string;
  port: number;
  worldSize: number;
  /** The job's secret. */
  token: string;
  /** Name under which the secret is left for the other ranks until they have joined; none: they have it. */
  publishAs?: string;
  config: Config;
  /** Run folder. */
  outDir: string;
  /** Rank 0's hold on it, where something is recorded. */
  lockFile?: string;
  /** Position of the checkpoint that the run goes on from, if it does. */
  resumed?: Position;
  /** Whether it only counts a checkpoint's test images and records nothing. */
  evaluate?: boolean;
}

/** Messages from the thread. */
export type CoordinatorNews =
  | { type: 'listening' }
  /** `missed`: what the record does not have, beside what the report says. */
  | { type: 'finished'; missed?: string }
  | { type: 'taken' }
  | { type: 'failed'; ended: JobEnd };

/** Ends the thread in order. */
const stopMessage = 'stop';

/** Time within which the cause of a failure is decided and every rank hears of it. */
const settleWithinMs = 2000;

/** Time within which record and trace are written once every rank has finished. */
const recordWithinMs = 30_000;

/**
 * The coordinator in a thread of rank 0, for jobs that torchrun, Slurm or MPI have started. It has a thread of its
 * own because rank 0's compute thread blocks in collectives and in native code.
 */
export class OwnCoordinator {
  /** Resolves once the job has ended, well or not. */
  readonly settled: Promise<void>;
  /** Whether another process has taken the job over. */
  taken = false;
  private cause: PodDistError | undefined;
  private done = false;
  private missed: string | undefined;

  private constructor(
    private readonly thread: Worker,
    /** Milliseconds that the sinks of the run may take to end. */
    private readonly loggingMs: number,
  ) {
    this.settled = new Promise((resolve) => {
      thread.on('message', (news: CoordinatorNews) => {
        if (news.type === 'finished') {
          this.done = true;
          this.missed = news.missed;
        }
        if (news.type === 'taken') this.taken = true;
        if (news.type === 'failed') this.cause = errorOf(news.ended);
        if (news.type !== 'listening') resolve();
      });
      thread.once('exit', () => resolve());
    });
  }

  /** Listens on the place's port; rejects with `UserError` `PORT_IN_USE` where it is taken. */
  static async start(options: OwnCoordinatorOptions): Promise<OwnCoordinator> {
    const thread = startSocketThread(
      new URL('./coordinator-thread.js', import.meta.url),
      options,
      stopMessage,
    );
    const own = new OwnCoordinator(thread, loggingEndsWithinMs(options.config));
    await once(thread, 'message');
    if (own.cause) throw own.cause;
    return own;
  }

  /** Resolves once every rank has finished and the record is written, with `report` and what the record lacks. */
  async finished(report: Report | undefined): Promise<Report | undefined> {
    await this.within(recordWithinMs + this.loggingMs);
    if (!this.done && !this.taken)
      throw (
        this.cause ??
        new PodDistError('COORDINATOR_FAILED', 'the coordinator thread of rank 0 did not finish')
      );
    const { missed } = this;
    return report && missed !== undefined
      ? { ...report, missed: [...(report.missed ?? []), missed] }
      : report;
  }

  /** The root cause of a failed job, once it is settled. */
  async failure(): Promise<PodDistError | undefined> {
    await this.within(settleWithinMs);
    return this.cause;
  }

  async stop(): Promise<void> {
    if (this.thread.threadId === -1) return;
    const exited = once(this.thread, 'exit');
    this.thread.postMessage(stopMessage);
    await Promise.race([exited, delay(settleWithinMs + this.loggingMs)]);
  }

  private async within(milliseconds: number): Promise<void> {
    await Promise.race([this.settled, delay(milliseconds)]);
  }
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
