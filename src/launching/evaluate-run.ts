import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
import type { Evaluation } from '../evaluation/schema.js';
import { evaluateCheckpoint } from '../inference/evaluate-checkpoint.js';
import { runJob } from '../job/launch/job.js';
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
  const set = [...(request.set ?? []), ...(unknown === undefined ? [] : [`evaluation.unknown=${unknown}`])];
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
      (signal) => alone(checkpoint, { config, combiner, signal }),
      hooks.stopping ?? neverStopping,
    );
  else await together({ ...hooks, folder, checkpoint, config, set, backend, allowed, combiner });
  const evaluation = combiner.evaluation as Evaluation;
  if (out !== undefined) writeEvaluation(out, evaluation);
  return { evaluation, checkpoint: folder };
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
  signal: AbortSignal;
}

async function alone(checkpoint: Checkpoint, { config, combiner, signal }: Alone): Promise<void> {
  await initBackend(config.backend);
  throwIfStopped(signal);
  const evaluated = checkpoint.classNames;
  const dataset = await openDataset(config.data, { seed: config.seed, evaluated, notify: () => {} });
  const [communicator, reporter] = [new LocalCommunicator(), new LocalReporter(combiner)];
  try {
    await evaluateCheckpoint({ checkpoint, config, dataset, communicator, reporter, signal });
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
}

async function together(options: Together): Promise<void> {
  const { folder, checkpoint, config, set, backend, allowed, combiner, notify } = options;
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
