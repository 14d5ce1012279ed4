import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { openCheckpoint } from '../checkpoint/checkpoints.js';
import { noneAllowed } from '../checkpoint/modules.js';
import type { Override } from '../config/layer.js';
import { loadConfig } from '../config/load.js';
import { checkPlugins } from '../config/plugins.js';
import type { Config } from '../config/schema.js';
import { indexUnclassed } from '../data/image-index.js';
import { openDataset } from '../data/index.js';
import { partOf } from '../inference/extract-features.js';
import { RunCombiner } from '../record/combine.js';
import { present } from '../util/present.js';
import { readRegularFile } from '../util/regular-file.js';
import { neverStopping, untilSignal } from '../util/signals.js';
import { alone, together, weightsOf, type EvaluateHooks, type EvaluateRequest } from './evaluate-run.js';

/** Bytes of the features of one worker, at most. */
const mostBytes = 2 ** 36;

/** Request for the features of images. */
export interface FeaturesRequest extends Pick<
  EvaluateRequest,
  'checkpoint' | 'weights' | 'workers' | 'backend' | 'set' | 'allowed'
> {
  /** Folder of images, in folders or not, of any classes; default: the test images of the run's data set. */
  root?: string;
}

/** Features of images, in the order of their names. */
export interface Features {
  /** Row-major [images, dim]. */
  values: Float32Array;
  dim: number;
  /** Euclidean lengths of the rows. */
  norms: Float32Array;
  /** Class of each image among `classNames`; -1 for one of no such class. */
  labels: Int32Array;
  /** Path of each image from `root` on; of a data set's, its place among the test images. */
  names: string[];
  /** Classes that the model knows. */
  classNames: readonly string[];
  /** Folder of the checkpoint. */
  checkpoint: string;
}

/**
 * The features of images, as evaluation sees them, computed by any number of workers: each writes those of its share.
 *
 * @throws UserError for a mistake in the request; `StoppedError` where it was stopped; else the first cause
 */
export async function featuresRun(request: FeaturesRequest, hooks: EvaluateHooks): Promise<Features> {
  const { workers = 1, backend, root, allowed = noneAllowed } = request;
  const { notify } = hooks;
  const about = { allowed, set: request.set, notify };
  const { folder, checkpoint } = await openCheckpoint(request.checkpoint, about);
  const images = root === undefined ? [] : [`evaluation.unknown=${root}`];
  const set = [...(request.set ?? []), ...weightsOf(request), ...images];
  const flags: Override[] = [{ path: 'workers', value: workers, source: '--workers' }];
  if (backend !== undefined) flags.push({ path: 'backend', value: backend, source: '--backend' });
  const config = loadConfig({ base: checkpoint.config, set, flags });
  checkPlugins(config);
  const { classNames } = checkpoint;
  const index = await (root === undefined ? testImages(config, classNames) : imagesIn(root, classNames));
  let done = 0;
  const evaluating = (count: number) => hooks.evaluating?.((done += count), index.names.length);
  const combiner = new RunCombiner([{ evaluating }]);
  const parts = await mkdtemp(join(tmpdir(), 'pod-dist-features-'));
  try {
    if (config.workers === 1)
      await untilSignal(
        (signal) => alone(checkpoint, { config, combiner, signal, features: parts }),
        hooks.stopping ?? neverStopping,
      );
    else
      await together({
        ...hooks,
        folder,
        checkpoint,
        config,
        set,
        backend,
        allowed,
        combiner,
        features: parts,
      });
    const { dim } = config.model;
    const values = joined(parts, config.workers);
    return { values, dim, norms: lengths(values, dim), ...index, classNames, checkpoint: folder };
  } finally {
    await rm(parts, { recursive: true, force: true });
  }
}

interface NamedImages {
  names: string[];
  labels: Int32Array;
}

/** Images below a folder; their class is the first folder on the way to them. */
async function imagesIn(root: string, classNames: readonly string[]): Promise<NamedImages> {
  const { files } = (await indexUnclassed(root)).splits.test;
  const places = new Map(classNames.map((name, label) => [name.normalize('NFC'), label]));
  const names = files.map((file) => relative(root, file).split(sep).join('/'));
  const labels = Int32Array.from(
    names,
    (name) => places.get(present(name.split('/')[0], 'a first part').normalize('NFC')) ?? -1,
  );
  return { names, labels };
}

async function testImages(config: Config, evaluated: readonly string[]): Promise<NamedImages> {
  const dataset = await openDataset(config.data, { seed: config.seed, evaluated });
  await dataset.close();
  const { test } = dataset.labels;
  return { names: Array.from(test, (_, image) => `test/${image}`), labels: test.slice() };
}

function joined(folder: string, workers: number): Float32Array {
  const parts = Array.from({ length: workers }, (_, rank) =>
    readRegularFile(partOf(folder, rank), { mostBytes }),
  );
  const bytes = Buffer.concat(parts);
  return new Float32Array(Uint8Array.from(bytes).buffer);
}

/** Length of each row, summed in double precision. */
function lengths(values: Float32Array, dim: number): Float32Array {
  return Float32Array.from({ length: values.length / dim }, (_, row) => {
    let squares = 0;
    for (let at = row * dim; at < (row + 1) * dim; at++) squares += (values[at] ?? 0) ** 2;
    return Math.sqrt(squares);
  });
}
