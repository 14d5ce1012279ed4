import { setTimeout as delay } from 'node:timers/promises';
import { StoppedError } from '../src/errors.js';

/** Signals that ask a process to end, and the exit codes that shells give for them. */
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** How long work in this process may take to end once it is told to. */
const endWithinMs = 3000;

type EndSignal = keyof typeof exitCodes;

/** The exit code of a job that `signal` has stopped. */
export function exitCodeOf(signal: string | undefined): number {
  return exitCodes[signal as EndSignal] ?? 1;
}

/** Tells `listener` of every signal to end, none of which ends this process any more until `stop` is called. */
export function followSignals(listener: (signal: EndSignal) => void): { stop(): void } {
  const names = Object.keys(exitCodes) as EndSignal[];
  for (const name of names) process.on(name, listener);
  return { stop: () => names.forEach((name) => process.off(name, listener)) };
}

/**
 * Runs work that ends by itself when its `AbortSignal` is aborted, which the first signal to this process does, with
 * the signal's name as the reason. Rejects with `StoppedError` at a second signal, or where the work takes longer than
 * three seconds to end: the process is to exit then.
 */
export async function untilSignal<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  let giveUp: (error: StoppedError) => void;
  const givenUp = new Promise<never>((_, reject) => (giveUp = reject));
  const signals = followSignals((name) => {
    if (stop.signal.aborted) return giveUp(new StoppedError(name));
    stop.abort(name);
    void delay(endWithinMs, undefined, { ref: false }).then(() => giveUp(new StoppedError(name)));
  });
  try {
    return await Promise.race([work(stop.signal), givenUp]);
  } finally {
    signals.stop();
  }
}
