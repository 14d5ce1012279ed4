import { verifyRun, type VerifyResult } from '../launching/verify-run.js';
import { restoringVariables } from '../util/environment.js';
import { StoppedError } from '../util/errors.js';
import { allowedModules } from './checkpoint-options.js';
import { hooksOf, type FeaturesOptions } from './features.js';

/** Options of `verify`; `pairs`, `neighbours` or both say what is asked. */
export interface VerifyOptions extends FeaturesOptions {
  /** Folder of images in a folder a class, which need not be those of the training. */
  root: string;
  /** List of pairs: LFW's `pairs.txt`, or lines `path path 1` (one class) and `path path 0`. */
  pairs?: string;
  /** Judge images by the classes of this many nearest others. */
  neighbours?: number;
}

/**
 * Judges the features of a trained model on images of any classes, by pairs and by nearest neighbours, as the command
 * `pod-dist verify` does.
 *
 * @returns accuracy over the folds of the pairs, thresholds, ROC curve; the share of images whose neighbours are right
 * @throws UserError for a mistake in the input, such as a pair whose image is not there (`DATA_NOT_FOUND`);
 *   `StoppedError` after `signal`; else `PodDistError`
 * @example
 * import { verify } from 'pod-dist';
 *
 * const { images, neighbours } = await verify({ checkpoint: 'runs/digits', root: 'strangers', neighbours: 1, backend: 'wasm' });
 * console.log(`${images} images, ${neighbours?.accuracy} of them beside one of their class`);
 */
export async function verify(options: VerifyOptions): Promise<VerifyResult> {
  const { checkpoint, weights, root, pairs, neighbours, workers, backend, set, signal } = options;
  if (signal?.aborted) throw new StoppedError();
  const given = { checkpoint, weights, root, pairs, neighbours, workers, backend, set };
  return restoringVariables(() =>
    verifyRun({ ...given, allowed: allowedModules(options) }, hooksOf(options)),
  );
}
