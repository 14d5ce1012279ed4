import type { ErrorCode } from './error-codes.js';

/**
 * Every failure that pod-dist raises on purpose carries a stable `code` (see `errorCodes`), what happened, and what to do
 * next.
 *
 * `UserError` is a mistake in what the user gave (flags, configuration, data): the command prints its one line
 * and exits with 2. `PodDistError` is a broken run (a lost worker, a deadline, a mismatch): exit code 1.
 *
 * @example
 * import { LocalCommunicator, PodDistError } from 'pod-dist';
 *
 * const communicator = new LocalCommunicator();
 * await communicator.close();
 * try {
 *   await communicator.barrier();
 * } catch (error) {
 *   if (error instanceof PodDistError) console.log(error.code, error.message);
 * }
 */
export class PodDistError extends Error {
  override readonly name: string = 'PodDistError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/**
 * A mistake in the input; the message names what, where, and what to do.
 *
 * @example
 * import { generateCentroids, UserError } from 'pod-dist';
 *
 * try {
 *   generateCentroids({ classes: 0, dim: 2, seed: 1 });
 * } catch (error) {
 *   if (error instanceof UserError) console.log(error.code, error.message);
 * }
 */
export class UserError extends PodDistError {
  override readonly name = 'UserError';
}

/**
 * The work was asked to stop, by the signal named in `by` or by the program that started it: `code` is `STOPPED`. What has
 * been written until then is whole.
 *
 * @example
 * import { StoppedError, train } from 'pod-dist';
 *
 * const stop = new AbortController();
 * stop.abort();
 * const learningRate = { schedule: 'constant', rate: 0.1 } as const;
 * await train(
 *   { learningRate, data: { name: 'digits' }, model: { name: 'small-cnn' } },
 *   { outDir: 'runs/stopped', signal: stop.signal },
 * ).catch((error) => {
 *   if (error instanceof StoppedError) console.log(error.message);
 * });
 */
export class StoppedError extends PodDistError {
  constructor(
    readonly by?: string,
    { advice, ...options }: { cause?: unknown; advice?: string } = {},
  ) {
    const how = by === undefined ? 'stopped' : `stopped by ${by}`;
    super('STOPPED', advice === undefined ? how : `${how}; ${advice}`, options);
  }
}

/** Advice after a training that was stopped. */
export const resumeAdvice = '--resume goes on from the last checkpoint';

/** The error of a training: where it was stopped, one that says how to go on. */
export function resumable(error: unknown): unknown {
  if (!(error instanceof StoppedError)) return error;
  return new StoppedError(error.by, {
    cause: error.cause,
    advice: resumeAdvice,
  });
}

/**
 * The job has ended early and in order, because its time is over or a signal asked for it: `PREEMPTED`, with a checkpoint of
 * the step under way, or `CHECKPOINT_MISSED` where none could be written.
 *
 * @example
 * import { PreemptedError, UserError } from 'pod-dist';
 *
 * const exitCode = (error: unknown) =>
 *   error instanceof PreemptedError ? 75 : error instanceof UserError ? 2 : 1;
 * console.log(exitCode(new Error('another one')));
 */
export class PreemptedError extends PodDistError {
  constructor(
    override readonly code: 'PREEMPTED' | 'CHECKPOINT_MISSED',
    message: string,
  ) {
    super(code, message);
  }
}

/** The error of a broken run that another thread has described. */
export function errorOfCode(code: ErrorCode, message: string): PodDistError {
  return code === 'PREEMPTED' || code === 'CHECKPOINT_MISSED'
    ? new PreemptedError(code, message)
    : new PodDistError(code, message);
}

/** An error as another thread, process or program reads it. */
export interface ErrorReport {
  code: ErrorCode;
  message: string;
}

/** Code and message of anything thrown. */
export function reportOf(error: unknown): ErrorReport {
  return { code: codeOf(error), message: messageOf(error) };
}

/** The message of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s*\n\s*/g, ' ').trim();
}

/** The stable code of anything thrown; `UNEXPECTED` for what pod-dist did not raise itself. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof PodDistError ? error.code : 'UNEXPECTED';
}
