import type { LeftOut } from '../data/find-images.js';
import {
  predictImages,
  type BrokenImage,
  type PredictHooks,
  type Prediction,
} from '../launching/predict-images.js';
import { restoringVariables } from '../util/environment.js';
import { allowedModules, type CheckpointOptions } from './checkpoint-options.js';

/** Options of `predict`. */
export interface PredictOptions extends CheckpointOptions {
  /** Image files, folders of .jpg, .png or .webp images, `-` for an image on standard input. */
  images: readonly string[];
  /** Classes an image, from 1 on; default 5. */
  top?: number;
  /** Images whose best cosine (softmax: probability) is smaller are not `known`; -1 to 1; default: all are known. */
  threshold?: number;
  /** Average each image with its mirror image; default: as the run's evaluation. */
  mirror?: boolean;
  /** Backend: `auto`, `native`, `wasm`, `webgpu` or `cpu`; default: as the run was trained. */
  backend?: string;
  /** Stops between two batches: it rejects with `StoppedError`. */
  signal?: AbortSignal;
  /** Called with the number of files done, and of all. */
  onProgress?(done: number, files: number): void;
}

/** Result of `predict`. */
export interface PredictResult {
  /** Predictions of every image that could be read, in order. */
  predictions: Prediction[];
  /** Files that could not be read, each with its error. */
  broken: BrokenImage[];
  /** Entries of folders that are no images. */
  leftOut: LeftOut[];
}

/**
 * Classifies image files with a trained model, as the command `pod-dist predict` does. Images get the size, the channels
 * and the normalisation of the run; scores are cosines from -1 to 1, or probabilities for plain softmax.
 *
 * @throws UserError for a mistake in the input, such as `NO_IMAGES` or `CHECKPOINT_NOT_FOUND`; a file that cannot be
 *   read is no error but in `broken`; `StoppedError` after `signal`
 * @example
 * import { predict } from 'pod-dist';
 *
 * const images = ['photos'];
 * const { predictions } = await predict({ checkpoint: 'runs/digits', images, top: 2, threshold: 0.5, backend: 'wasm' });
 * for (const { file, known, top } of predictions)
 *   console.log(file, known ? top[0].class : 'unknown', top[0].score);
 */
export async function predict(options: PredictOptions): Promise<PredictResult> {
  const { checkpoint, weights, images, top, threshold, mirror, backend, signal, onLine, onProgress } =
    options;
  const predictions: Prediction[] = [];
  const broken: BrokenImage[] = [];
  const request = {
    ...{ checkpoint, weights, images, top, threshold, mirror, backend },
    allowed: allowedModules(options),
  };
  const hooks: PredictHooks = {
    signal,
    notify: (line) => onLine?.(line),
    predicted: (batch, done, files) => {
      for (const prediction of batch.predictions) predictions.push(prediction);
      for (const one of batch.broken) broken.push(one);
      onProgress?.(done, files);
    },
  };
  const leftOut = await restoringVariables(() => predictImages(request, hooks));
  return { predictions, broken, leftOut };
}
