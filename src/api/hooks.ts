import { join } from 'node:path';
import type { EpochRecord, StepRecord } from '../record/records.js';
import type { RunListener } from '../record/run-record.js';

/** A checkpoint that has been written whole. */
export interface SavedCheckpoint {
  /** Its folder, as `evaluate`, `predict` and `exportModel` take it. Only those that `checkpoint.keep` names stay. */
  readonly path: string;
  /** Epochs that it was trained for. */
  readonly epochs: number;
  /** Steps of the epoch after these; 0 at the end of an epoch. */
  readonly steps: number;
}

/** Something amiss that the run goes on with, such as a worker that the others wait for. */
export interface Incident {
  /** One line: who, what, and for how long. */
  readonly message: string;
}

/**
 * Functions that follow a run. They are called in this process, one at a time and in the order of the run, with frozen
 * records that nothing of the run depends on.
 *
 * The first error that one throws, or that a promise it returns rejects with, ends the run: after the step under way in
 * this process, and as soon as they hear of it for several workers, which may be some steps ahead. The function that
 * trains then rejects with that very error. No checkpoint is broken by that: `onCheckpoint` is called once its checkpoint
 * is whole, and `resume` goes on from the newest. A promise is not waited for.
 */
export interface RunHooks {
  /** Called after each step: loss, learning rate, images a second. With several workers it may lag behind them. */
  onStep?(record: Readonly<StepRecord>): unknown;
  /** Called after each epoch, once it is evaluated and in `metrics.jsonl`. */
  onEpoch?(record: Readonly<EpochRecord>): unknown;
  /** Called after each checkpoint, once it is on disk; before `onEpoch` of the same epoch. */
  onCheckpoint?(checkpoint: SavedCheckpoint): unknown;
}

/** Hooks of a run of several workers. */
export interface JobHooks extends RunHooks {
  /** Called for each incident. */
  onIncident?(incident: Incident): unknown;
}

/** Calls the hooks of one run, and ends it where one fails. */
export class HookCaller {
  private readonly stop = new AbortController();
  private failure: { error: unknown } | undefined;

  constructor(private readonly hooks: JobHooks) {}

  /** Aborted once a hook has failed. */
  get signal(): AbortSignal {
    return this.stop.signal;
  }

  /** Follows the run in this folder. */
  listener(folder: string): RunListener {
    return {
      step: (record) => this.call('onStep', { ...record }),
      epoch: (record) => this.call('onEpoch', structuredClone(record)),
      checkpoint: ({ name, epochs, steps }) =>
        this.call('onCheckpoint', { path: join(folder, 'checkpoints', name), epochs, steps }),
      missed: ({ message }) => this.incident(message),
    };
  }

  incident(message: string): void {
    this.call('onIncident', { message });
  }

  /** Result of `work`; rejects with the error of the hook that has failed, if one has. */
  async around<T>(work: Promise<T>): Promise<T> {
    await Promise.allSettled([work]);
    if (this.failure) throw this.failure.error;
    return work;
  }

  private call<Name extends keyof JobHooks>(
    name: Name,
    record: Parameters<Required<JobHooks>[Name]>[0],
  ): void {
    if (this.failure) return;
    for (const value of Object.values(record)) if (typeof value === 'object') Object.freeze(value);
    try {
      const result = (this.hooks[name] as ((given: unknown) => unknown) | undefined)?.(Object.freeze(record));
      if (result instanceof Promise) result.catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    this.failure ??= { error };
    this.stop.abort();
  }
}
