import type { AllowedModules } from '../checkpoint/modules.js';
import type { WeightsChoice } from '../optim/average.js';
import type { StopSource } from '../util/signals.js';

/** Options of every function that works with a trained model. */
export interface CheckpointOptions {
  /** A run folder, whose newest checkpoint is taken, or a checkpoint folder. */
  checkpoint: string;
  /** Weights of a run with `ema.decay`: their average, or as trained; default: as its `evaluation.weights` says. */
  weights?: WeightsChoice;
  /**
   * Import the modules that the checkpoint names (backbone and plug-ins), which you trust: they run in this process.
   * Default: only those that were trained with on this machine are imported.
   */
  allowModule?: boolean;
  /** Path of a backbone module of your own, in place of the checkpoint's. */
  module?: string;
  /** Called with each line for people: problems, such as a newer checkpoint that is broken. */
  onLine?(line: string): void;
}

/** Modules that may be imported. */
export function allowedModules({ allowModule = false, module }: CheckpointOptions): AllowedModules {
  return { all: allowModule, backbone: module };
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
