import { initBackend } from '../backend/index.js';
import { openCheckpoint } from '../checkpoint/checkpoints.js';
import { noneAllowed, type AllowedModules } from '../checkpoint/modules.js';
import type { Override } from '../config/layer.js';
import { loadConfig } from '../config/load.js';
import { findImages, type LeftOut } from '../data/find-images.js';
import { preprocessingOf, readImageFiles } from '../data/preprocessing.js';
import type { ClassScore } from '../evaluation/top-classes.js';
import { Predictor, type ScoreKind } from '../inference/predictor.js';
import type { WeightsChoice } from '../optim/average.js';
import { UserError } from '../util/errors.js';
import { throwIfStopped, untilStopped } from '../util/until-stopped.js';
import { present } from '../util/present.js';

/** Which images are to be classified, and by what. */
export interface PredictRequest {
  /** A run folder, of which the newest checkpoint is meant, or a checkpoint folder. */
  checkpoint: string;
  /** Which weights, where some are averaged; default: as the checkpoint says. */
  weights?: WeightsChoice;
  /** Image files, folders of images, `-` for an image on standard input. */
  images: readonly string[];
  /** Classes an image, from 1 on; default 5. */
  top?: number;
  /** Images whose best score is smaller belong to no known class; -1 to 1. */
  threshold?: number;
  /** Average each image with its mirror image; default: as the run's evaluation. */
  mirror?: boolean;
  backend?: string;
  /** Modules of the checkpoint that may be imported; default: those that were trained with on this machine. */
  allowed?: AllowedModules;
}

/** A class that an image may belong to, by name and position, and how well it fits. */
export interface PredictedClass extends ClassScore {
  class: string;
}

/** Classes of one image, as a classifier predicts them. */
export interface Prediction {
  file: string;
  /** The classes that fit best, the best first; none where the features have no direction. */
  top: PredictedClass[];
  /** Whether the best class reaches the threshold. */
  known: boolean;
  /** Whether the image is animated: its first frame was classified. */
  animated: boolean;
  /** Kind of the scores: cosines, or the probabilities of plain softmax. */
  scoreKind: ScoreKind;
}

/** An image that cannot be classified, and why. */
export interface BrokenImage {
  file: string;
  error: UserError;
}

/** Some of the images, in order. */
export interface PredictedBatch {
  predictions: Prediction[];
  broken: BrokenImage[];
}

/** Callbacks of a prediction, and its stop signal. */
export interface PredictHooks {
  /** Called with lines for people. */
  notify(line: string): void;
  /** Called with the images classified since, the number of files done, and of all. */
  predicted(batch: PredictedBatch, done: number, files: number): void;
  /** Stops it between two batches. */
  signal?: AbortSignal;
}

/**
 * Classifies image files, as `pod-dist predict` does. Images get the preprocessing of the run's test images.
 *
 * @returns entries of folders that are not among the images
 * @throws UserError for a mistake in the request; `StoppedError` after `signal`
 */
export async function predictImages(request: PredictRequest, hooks: PredictHooks): Promise<LeftOut[]> {
  const { top = 5, threshold, mirror, backend, allowed = noneAllowed } = request;
  const { notify, predicted, signal } = hooks;
  if (!Number.isInteger(top) || top < 1)
    throw new UserError('USAGE', 'top takes a whole number of classes, from 1 on');
  if (threshold !== undefined && !(Math.abs(threshold) <= 1))
    throw new UserError('USAGE', 'threshold takes a cosine, -1 to 1 (softmax: a probability)');
  throwIfStopped(signal);
  const { checkpoint } = await openCheckpoint(request.checkpoint, { allowed, notify });
  const { files, leftOut } = await findImages(request.images);
  const flags: Override[] =
    backend === undefined ? [] : [{ path: 'backend', value: backend, source: '--backend' }];
  const config = loadConfig({ base: checkpoint.config, flags });
  const preprocessing = preprocessingOf(config.data, checkpoint.shape);
  await initBackend(config.backend);
  const about = { mirror, weights: request.weights, onNotice: notify };
  const predictor = await Predictor.create(checkpoint, about);
  const { scoreKind } = predictor;
  const named = ({ index, score }: ClassScore) => ({
    class: present(checkpoint.classNames[index], `a name of class ${index}`),
    index,
    score,
  });
  let done = 0;
  try {
    const batches = readImageFiles(files, preprocessing, config.evaluation.batchSize);
    for await (const batch of untilStopped(batches, signal)) {
      const predictions = predictor.predict(batch.images, top).map((classes, index) => {
        const file = present(batch.files[index], 'the file of an image');
        const [best] = classes;
        const known = best !== undefined && (threshold === undefined || best.score >= threshold);
        return { file, top: classes.map(named), known, animated: batch.animated.has(file), scoreKind };
      });
      done += batch.files.length + batch.broken.length;
      predicted({ predictions, broken: batch.broken }, done, files.length);
    }
  } finally {
    predictor.dispose();
  }
  return leftOut;
}
