import type { StopSource } from '../util/signals.js';

/** Options of every function that works with a trained model. */
export interface CheckpointOptions {
  /** A run folder, whose newest checkpoint is taken, or a checkpoint folder. */
  checkpoint: string;
  /**
   * Import the backbone module that the checkpoint names, which you trust: it runs in this process. Default: only one
   * that was trained with on this machine is imported.
   */
  allowModule?: boolean;
  /** Path of a backbone module of your own, in place of the checkpoint's. */
  module?: string;
  /** Called with each line for people: problems, such as a newer checkpoint that is broken. */
  onLine?(line: string): void;
}

/**
 * Module of a backbone that may be imported: a path, '' for the one that the checkpoint names, undefined for known
 * modules only.
 */
export function allowedModule({ allowModule, module }: CheckpointOptions): string | undefined {
  return module ?? (allowModule ? '' : undefined);
}

/** Source of a request to stop once `signal` is aborted. */
export function stopOn(signal: AbortSignal | undefined): StopSource {
  return (listener) => {
    const stop = () => listener();
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    return { stop: () => signal?.removeEventListener('abort', stop) };
  };
}
