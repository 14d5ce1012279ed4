import { evaluateRun, type EvaluateResult } from '../launching/evaluate-run.js';
import { restoringVariables } from '../util/environment.js';
import { StoppedError } from '../util/errors.js';
import { allowedModules, stopOn, type CheckpointOptions } from './checkpoint-options.js';

/** Options of `evaluate`. */
export interface EvaluateOptions extends CheckpointOptions {
  /** Worker processes; default 1: this process. The numbers are the same for any number. */
  workers?: number;
  /** Backend: `auto`, `native`, `wasm`, `webgpu` or `cpu`; default: as the run was trained. */
  backend?: string;
  /** Settings, each `a.b=value`, over what the checkpoint says, such as `data.root=./images`. */
  set?: readonly string[];
  /** Folder of images of classes that were not trained: how well a threshold on the score rejects them. */
  unknown?: string;
  /** JSON file to write the evaluation to, whole or not at all; default: none. */
  out?: string;
  /** Stops the evaluation: it rejects with `StoppedError`. */
  signal?: AbortSignal;
  /** Called with the number of test images done, and of all. */
  onProgress?(done: number, images: number): void;
}

/**
 * Evaluates a trained model on the test images of its data set, as the command `pod-dist evaluate` does.
 *
 * @returns the evaluation (`correct` and `total` are images, angles degrees, shares from 0 to 1) and the checkpoint's folder
 * @throws UserError for a mistake in the input, such as `CHECKPOINT_NOT_FOUND`; `StoppedError` after `signal`; else
 *   `PodDistError`
 * @example
 * import { evaluate } from 'pod-dist';
 *
 * const { evaluation, checkpoint } = await evaluate({ checkpoint: 'runs/digits', backend: 'wasm' });
 * const { correct, total } = evaluation;
 * console.log(`${checkpoint}: ${correct} of ${total} images`);
 */
export async function evaluate(options: EvaluateOptions): Promise<EvaluateResult> {
  const { signal, onLine, onProgress, allowModule, module, ...request } = options;
  if (signal?.aborted) throw new StoppedError();
  const hooks = {
    notify: (line: string) => onLine?.(line),
    evaluating: onProgress,
    stopping: stopOn(signal),
  };
  const allowed = allowedModules({ ...request, allowModule, module });
  return restoringVariables(() => evaluateRun({ ...request, allowed }, hooks));
}
