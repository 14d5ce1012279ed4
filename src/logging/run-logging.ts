import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { endOf, errorOf, type JobEnd } from '../record/job-end.js';
import { messageOf } from '../util/errors.js';
import type { LoggingNews, LoggingOrder } from './logging-thread.js';
import type { LoggedRun } from './sink.js';
import { sinksOf } from './sinks.js';

/** Once a run has ended, a sink that fails has this long to be there again. */
const retryWithinMs = 10_000;
/** All have this long to take the rest, and longer where these are checkpoints. */
const closeWithinMs = 60_000;
const copyWithinMs = 600_000;
/** A thread that is to leave and does not is ended after this long. */
const graceMs = 1000;

/** Milliseconds that the sinks of a run may take to end, at most. */
export function loggingEndsWithinMs(config: LoggedRun['config']): number {
  const names = sinksOf(config);
  if (names.length === 0) return 0;
  return graceMs + (names.includes('copies') ? copyWithinMs : closeWithinMs);
}

export interface LoggingOptions {
  /** Tells people a line. */
  notify(line: string): void;
  /** Aborted once the run folder is another job's: nothing more is told to the sinks. */
  lost?: AbortSignal;
  /** Whether a run goes on that must not end for a sink, such as one whose port is taken. */
  underWay?: boolean;
}

/** Options of `withLogging`. */
interface FollowedWork extends LoggingOptions {
  /** Called once the work has ended well, with a line about copies of checkpoints that are not there. */
  onMissed(line: string): void;
}

/**
 * The sinks of a run: a thread of the process that writes the record follows it, on disk, and tells them. The training
 * never waits for it.
 */
export class RunLogging {
  private ending: Promise<void> | undefined;

  private constructor(
    private readonly thread: Worker,
    private readonly over: Promise<unknown>,
    private readonly notify: (line: string) => void,
    private readonly config: LoggedRun['config'],
    private readonly news: { line?: string },
  ) {}

  /** Once it has ended, a line about copies of checkpoints that are not there, if so. */
  get missed(): string | undefined {
    return this.news.line;
  }

  /**
   * Opens the sinks that the settings name; undefined where they name none. Called once the run's record is open.
   *
   * @throws UserError for a mistake, such as a port that is taken
   */
  static async start(
    run: LoggedRun,
    { notify, lost, underWay }: LoggingOptions,
  ): Promise<RunLogging | undefined> {
    if (sinksOf(run.config).length === 0) return undefined;
    const workerData = { ...run, config: JSON.parse(JSON.stringify(run.config)) as LoggedRun['config'] };
    const thread = new Worker(new URL('./logging-thread.js', import.meta.url), { workerData });
    const over = once(thread, 'exit').catch(() => undefined);
    thread.on('error', (error) => notify(`what is logged of the run is incomplete: ${messageOf(error)}`));
    const missed: { line?: string } = {};
    const opened = new Promise<JobEnd | undefined>((resolve) => {
      thread.on('message', (news: LoggingNews) => {
        if (news.kind === 'line') notify(news.line);
        else if (news.kind === 'missed') missed.line = news.line;
        else resolve(news.kind === 'failed' ? news.ended : undefined);
      });
      void over.then(() => resolve(undefined));
    });
    const logging = new RunLogging(thread, over, notify, run.config, missed);
    const failed = await opened;
    if (failed) {
      await thread.terminate();
      if (!underWay) throw errorOf(failed);
      notify(failed.message);
      return undefined;
    }
    thread.unref();
    lost?.addEventListener('abort', () => void logging.leave());
    return logging;
  }

  /** Lets the sinks take the rest, and ends; safe to call twice. `error` is why the run has ended before its time. */
  async close(error?: unknown): Promise<void> {
    const ended = error === undefined ? undefined : endOf(error);
    const withinMs = loggingEndsWithinMs(this.config) - graceMs;
    await this.order({ kind: 'close', ended, withinMs: retryWithinMs }, withinMs);
  }

  /** Ends at once: another process follows the run now. */
  async leave(): Promise<void> {
    await this.order({ kind: 'leave' }, graceMs);
  }

  private order(order: LoggingOrder, withinMs: number): Promise<void> {
    return (this.ending ??= this.end(order, withinMs));
  }

  private async end(order: LoggingOrder, withinMs: number): Promise<void> {
    this.thread.ref();
    this.thread.postMessage(order);
    const timer = new AbortController();
    const late = delay(withinMs, 'late' as const, { signal: timer.signal }).catch(() => undefined);
    const result = await Promise.race([this.over, late]);
    timer.abort();
    if (result === 'late' && order.kind === 'close') {
      const line = `what is logged of the run is incomplete: it was not written in ${withinMs / 1000} s`;
      this.notify(line);
      if (sinksOf(this.config).includes('copies')) this.news.line ??= line;
    }
    await this.thread.terminate();
  }
}

/** Does `work`, which the sinks of a run follow to its end. */
export async function withLogging<T>(
  run: LoggedRun,
  options: FollowedWork,
  work: () => Promise<T>,
): Promise<T> {
  const logging = await RunLogging.start(run, options);
  if (!logging) return work();
  try {
    const result = await work();
    await logging.close();
    if (logging.missed !== undefined) options.onMissed(logging.missed);
    return result;
  } catch (error) {
    await logging.close(error);
    throw error;
  }
}
