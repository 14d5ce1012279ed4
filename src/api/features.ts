import type { EvaluateHooks } from '../launching/evaluate-run.js';
import { featuresRun, type Features } from '../launching/features-run.js';
import { restoringVariables } from '../util/environment.js';
import { StoppedError } from '../util/errors.js';
import { allowedModules, stopOn, type CheckpointOptions } from './checkpoint-options.js';

/** Options of `features`, and of `verify`. */
export interface FeaturesOptions extends CheckpointOptions {
  /** Folder of images of any classes, in folders or not; default: the test images of the run's data set. */
  root?: string;
  /** Worker processes; default 1: this process. The numbers are the same for any number. */
  workers?: number;
  /** Backend: `auto`, `native`, `wasm`, `webgpu` or `cpu`; default: as the run was trained. */
  backend?: string;
  /** Settings, each `a.b=value`, over what the checkpoint says, such as `data.root=./images`. */
  set?: readonly string[];
  /** Stops the work: it rejects with `StoppedError`. */
  signal?: AbortSignal;
  /** Called with the number of images done, and of all. */
  onProgress?(done: number, images: number): void;
}

/**
 * Computes the features of images with a trained model, as the command `pod-dist features` does. They are not normalised:
 * `norms` has their lengths.
 *
 * @returns features [images, dim] row-major in `values`, with the class and the name of each image
 * @throws UserError for a mistake in the input, such as `CHECKPOINT_NOT_FOUND`; `StoppedError` after `signal`; else
 *   `PodDistError`
 * @example
 * import { features } from 'pod-dist';
 *
 * const { values, dim, names } = await features({ checkpoint: 'runs/digits', root: 'strangers', backend: 'wasm' });
 * names.forEach((name, image) => console.log(name, values.subarray(image * dim, (image + 1) * dim)));
 */
export async function features(options: FeaturesOptions): Promise<Features> {
  const { checkpoint, weights, root, workers, backend, set } = options;
  if (options.signal?.aborted) throw new StoppedError();
  const request = { checkpoint, weights, root, workers, backend, set, allowed: allowedModules(options) };
  return restoringVariables(() => featuresRun(request, hooksOf(options)));
}

/** What the work on images calls. */
export function hooksOf({ signal, onLine, onProgress }: FeaturesOptions): EvaluateHooks {
  return { notify: (line) => onLine?.(line), evaluating: onProgress, stopping: stopOn(signal) };
}
