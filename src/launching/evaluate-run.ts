import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { devicesOf } from '../backend/backends.js';
import { initBackend } from '../backend/index.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { openCheckpoint } from '../checkpoint/checkpoints.js';
import { noneAllowed, type AllowedModules } from '../checkpoint/modules.js';
import { LocalCommunicator } from '../collective/local-communicator.js';
import type { Override } from '../config/layer.js';
import { loadConfig } from '../config/load.js';
import { checkPlugins } from '../config/plugins.js';
import type { Config } from '../config/schema.js';
import { openDataset, openUnknown } from '../data/index.js';
import { preprocessingOf } from '../data/preprocessing.js';
import { testFolderOf } from '../data/test-split.js';
import type { Evaluation } from '../evaluation/schema.js';
import { evaluateCheckpoint } from '../inference/evaluate-checkpoint.js';
import { extractFeatures } from '../inference/extract-features.js';
import { runJob } from '../job/launch/job.js';
import type { WeightsChoice } from '../optim/average.js';
import { RunCombiner } from '../record/combine.js';
import { LocalReporter } from '../record/local-reporter.js';
import { writeEvaluation } from '../record/run-record.js';
import { StoppedError, UserError } from '../util/errors.js';
import { requireReplaceable } from '../util/regular-file.js';
import { throwIfStopped } from '../util/until-stopped.js';
import { neverStopping, untilSignal, type StopSource } from '../util/signals.js';

/** Request to evaluate a checkpoint. */
export interface EvaluateRequest {
  /** A run folder, whose newest checkpoint is taken, or a checkpoint folder. */
  checkpoint: string;
  /** Worker processes; default 1: this process. */
  workers?: number;
  backend?: string;
  /** `a.b=value`, each over what the checkpoint says. */
  set?: readonly string[];
  /** Folder of images of classes that were not trained. */
  unknown?: string;
  /** Folder of other images, `<class>/` or `test/<class>/`: classes are matched by name, and others left out. */
  root?: string;
  /** Which weights, where some are averaged; default: as the checkpoint says. */
  weights?: WeightsChoice;
  /** JSON file to write the evaluation to. */
  out?: string;
  /** Modules of the checkpoint that may be imported; default: those that were trained with on this machine. */
  allowed?: AllowedModules;
}

/** Callbacks of an evaluation, and its source of stop requests. */
export interface EvaluateHooks {
  /** Called with lines for people. */
  notify(line: string): void;
  /** Called with the number of images done, and the number of all. */
  evaluating?(done: number, images: number): void;
  /** Source of requests to stop the evaluation; default: none. */
  stopping?: StopSource;
}

/** Result of an evaluation. */
export interface EvaluateResult {
  evaluation: Evaluation;
  /** Folder of the evaluated checkpoint. */
  checkpoint: string;
}

/**
 * Evaluates a checkpoint on the test images of its data set, as `pod-dist evaluate` does.
 *
 * @throws UserError for a mistake in the request; `StoppedError` where it was stopped; else the first cause, a
 *   `PodDistError`
 */
export async function evaluateRun(request: EvaluateRequest, hooks: EvaluateHooks): Promise<EvaluateResult> {
  const { workers = 1, backend, unknown, out, allowed = noneAllowed } = request;
  const { notify } = hooks;
  if (out !== undefined) requireReplaceable(out);
  const { folder, checkpoint } = await openCheckpoint(request.checkpoint, {
    allowed,
    set: request.set,
    notify,
  });
  const set = [
    ...(request.root === undefined ? [] : [await dataAt(request.root, checkpoint)]),
    ...(request.set ?? []),
    ...weightsOf(request),
    ...(unknown === undefined ? [] : [`evaluation.unknown=${unknown}`]),
  ];
  const flags: Override[] = [{ path: 'workers', value: workers, source: '--workers' }];
  if (backend !== undefined) flags.push({ path: 'backend', value: backend, source: '--backend' });
  const config = loadConfig({ base: checkpoint.config, set, flags });
  checkPlugins(config);
  const images = await checkData(config, checkpoint);
  let done = 0;
  const evaluating = (count: number) => hooks.evaluating?.((done += count), images);
  const combiner = new RunCombiner([{ evaluating }]);
  if (config.workers === 1)
    await untilSignal(
      (signal) => alone(checkpoint, { config, combiner, notify, signal }),
      hooks.stopping ?? neverStopping,
    );
  else await together({ ...hooks, folder, checkpoint, config, set, backend, allowed, combiner });
  const evaluation = combiner.evaluation as Evaluation;
  if (out !== undefined) writeEvaluation(out, evaluation);
  return { evaluation, checkpoint: folder };
}

/** The assignment that chooses the weights. */
export function weightsOf({ weights }: Pick<EvaluateRequest, 'weights'>): string[] {
  return weights === undefined ? [] : [`evaluation.weights=${weights}`];
}

/** The assignment that puts the images of a folder, prepared as the run's, in the place of its test images. */
async function dataAt(root: string, { config, shape }: Checkpoint): Promise<string> {
  const { size, resize, channels, normalize, rules } = preprocessingOf(config.data, shape);
  const folder = await testFolderOf(root, {});
  const place = existsSync(folder) ? {} : { testSplit: resolve(root) };
  const name = 'image-folder';
  const data = {
    name,
    root,
    ...place,
    otherClasses: 'leave-out',
    size,
    resize,
    channels,
    normalize,
    ...rules,
  };
  return `data=${JSON.stringify(data)}`;
}

/** Opens the data before anything is started; resolves with the number of test images. */
async function checkData(config: Config, { classNames }: Checkpoint): Promise<number> {
  const dataset = await openDataset(config.data, { seed: config.seed, evaluated: classNames });
  await (await openUnknown(config, dataset))?.close();
  await dataset.close();
  return dataset.labels.test.length;
}

interface Alone {
  config: Config;
  combiner: RunCombiner;
  notify?(line: string): void;
  signal: AbortSignal;
  /** Folder for features, where these are wanted and no evaluation. */
  features?: string;
}

/** Evaluates a checkpoint, or computes features with it, in this process. */
export async function alone(
  checkpoint: Checkpoint,
  { config, combiner, notify, signal, features }: Alone,
): Promise<void> {
  await initBackend(config.backend);
  throwIfStopped(signal);
  const evaluated = checkpoint.classNames;
  const open = { seed: config.seed, evaluated, notify: () => {} };
  const unclassed = features === undefined ? undefined : await openUnknown(config, checkpoint);
  const dataset = unclassed ?? (await openDataset(config.data, open));
  const [communicator, reporter] = [new LocalCommunicator(), new LocalReporter(combiner)];
  const about = { checkpoint, config, dataset, communicator, reporter, signal };
  try {
    await (features === undefined
      ? evaluateCheckpoint({ ...about, onNotice: notify })
      : extractFeatures({ ...about, folder: features }));
  } finally {
    await dataset.close();
  }
}

interface Together extends EvaluateHooks {
  /** Folder of the checkpoint. */
  folder: string;
  checkpoint: Checkpoint;
  config: Config;
  set: readonly string[];
  backend?: string;
  allowed: AllowedModules;
  combiner: RunCombiner;
  /** Folder for features, where these are wanted and no evaluation. */
  features?: string;
}

/** Evaluates a checkpoint, or computes features with it, in worker processes. */
export async function together(options: Together): Promise<void> {
  const { folder, checkpoint, config, set, backend, allowed, combiner, notify, features } = options;
  const { stopping = neverStopping } = options;
  const devices = await devicesOf(config.backend).plan({
    workers: config.workers,
    requireGpu: false,
    bindCores: config.distributed.bindCores,
  });
  const logDir = await mkdtemp(join(tmpdir(), 'pod-dist-evaluate-'));
  const workerArgs = ['--evaluate', folder, ...set.flatMap((assignment) => ['--set', assignment])];
  const { model } = checkpoint.config;
  if (model.name === 'module') workerArgs.push('--module', model.path);
  if (features !== undefined) workerArgs.push('--features', features);
  if (allowed.all) workerArgs.push('--allow-module');
  if (backend) workerArgs.push('--backend', backend);
  let isLogNamed = false;
  try {
    await runJob({ config, devices, logDir, workerArgs, combiner, notify, stopping });
  } catch (error) {
    isLogNamed = !(error instanceof UserError || error instanceof StoppedError);
    throw error;
  } finally {
    if (!isLogNamed) await rm(logDir, { recursive: true, force: true });
  }
}
