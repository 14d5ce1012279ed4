import { PodDistError, UserError } from '../../util/errors.js';

type Callback = () => void;

/** Polls follow one another for this long, so that a short wait ends at once; then the thread sleeps between them. */
const spinMs = 0.2;
const sleepMs = 0.05;

/** A GPU that has not finished by now hangs; a software driver may take half a minute for a large step. */
const deadlineMs = 300_000;

const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits for Dawn with this thread blocked, which WebGPU itself does not offer: it gives results by promise alone, and no
 * promise can be awaited in the middle of a gradient tape.
 *
 * Dawn for Node looks for finished work in a callback: whenever something is outstanding and no callback is queued, it
 * gives one to the global `setImmediate`; called, it settles what has finished and queues itself again if more is left.
 * `catchPoll` keeps that callback, once. `wait` then calls it again and again, as the event loop would, until the work
 * is done. What Dawn queues meanwhile is held back, and the last of it goes to the event loop in the end, so that
 * promises of others that are still outstanding are settled there as ever.
 */
export class DawnEvents {
  private poll: Callback | undefined;

  /** Runs `begin`, which must leave work outstanding, and keeps the callback that Dawn queues for it. */
  catchPoll<T>(begin: () => T): T {
    const { setImmediate: queue } = globalThis;
    return withSetImmediate((callback) => {
      this.poll = callback;
      return queue(callback);
    }, begin);
  }

  /**
   * Runs `begin` and returns once `done` is true.
   *
   * @throws UserError `BACKEND_UNAVAILABLE` where Dawn does not poll as described, `GPU_FAILED` past the deadline
   */
  wait(begin: () => void, done: () => boolean): void {
    const { poll } = this;
    if (!poll) {
      throw new UserError(
        'BACKEND_UNAVAILABLE',
        'this version of the package webgpu cannot be waited for: run npm ci, which installs the one that can',
      );
    }
    const { setImmediate: queue } = globalThis;
    let held: Callback | undefined;
    withSetImmediate(
      (callback) => (held = callback),
      () => {
        begin();
        const started = performance.now();
        while (!done()) {
          held = undefined;
          poll();
          const elapsed = performance.now() - started;
          if (elapsed > deadlineMs)
            throw new PodDistError('GPU_FAILED', `the GPU has not finished within ${deadlineMs / 1000} s`);
          if (elapsed > spinMs) Atomics.wait(never, 0, 0, sleepMs);
        }
      },
    );
    if (held) queue(held);
  }
}

function withSetImmediate<T>(replacement: (callback: Callback) => unknown, run: () => T): T {
  const original = globalThis.setImmediate;
  globalThis.setImmediate = replacement as typeof setImmediate;
  try {
    return run();
  } finally {
    globalThis.setImmediate = original;
  }
}
