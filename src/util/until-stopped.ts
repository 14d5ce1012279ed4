import { setImmediate as turn } from 'node:timers/promises';
import { PodDistError, StoppedError } from './errors.js';

/**
 * The same batches until `signal` is aborted, then `StoppedError`. Between two batches the event loop turns: what
 * aborts the signal in this thread gets to run.
 */
export function untilStopped<T>(
  batches: AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncIterable<T> {
  return signal ? stoppable(batches, signal) : batches;
}

async function* stoppable<T>(batches: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  throwIfStopped(signal);
  for await (const batch of batches) {
    yield batch;
    await turn();
    throwIfStopped(signal);
  }
}

/**
 * Throws `StoppedError` once `signal` is aborted; a reason that is a string names what stopped the job, one that is a
 * `PodDistError` is thrown itself.
 */
export function throwIfStopped(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  const reason: unknown = signal.reason;
  if (reason instanceof PodDistError) throw reason;
  throw new StoppedError(typeof reason === 'string' ? reason : undefined, { cause: reason });
}
