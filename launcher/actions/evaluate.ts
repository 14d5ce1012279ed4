import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArgumentsCamelCase } from 'yargs';
import { initBackend } from '../../src/backend/index.js';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { openDataset, openUnknown } from '../../src/data/index.js';
import type { Evaluation } from '../../src/evaluation/schema.js';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { openCheckpoint } from '../../src/checkpoint/checkpoints.js';
import { RunCombiner } from '../../src/record/combine.js';
import { evaluateCheckpoint } from '../../src/inference/evaluate-checkpoint.js';
import { LocalReporter } from '../../src/record/local-reporter.js';
import { writeEvaluation } from '../../src/record/run-record.js';
import { devicesOf } from '../../src/backend/backends.js';
import { describeEvaluation } from '../evaluation-table.js';
import { allowedModule, overrides, type ModuleArguments } from '../flags.js';
import { runJob } from '../../src/job/launch/job.js';
import { Progress } from '../../src/console/progress.js';
import { requireReplaceable } from '../../src/util/regular-file.js';

export interface EvaluateArguments extends ModuleArguments {
  checkpoint: string;
  workers: number;
  backend?: string;
  set: string[];
  unknown?: string;
  out?: string;
  json: boolean;
}

export async function evaluate(args: ArgumentsCamelCase<EvaluateArguments>): Promise<void> {
  if (args.out !== undefined) requireReplaceable(args.out);
  const notify = (line: string) => process.stderr.write(`${line}\n`);
  const { folder, checkpoint } = await openCheckpoint(args.checkpoint, {
    allow: allowedModule(args),
    notify,
  });
  const set = args.unknown === undefined ? args.set : [...args.set, `evaluation.unknown=${args.unknown}`];
  const config = loadConfig({ base: checkpoint.config, set, flags: overrides(args) });
  const images = await checkData(config, checkpoint);
  const progress = new Progress('test images', 1);
  let done = 0;
  const evaluating = (count: number) => progress.update((done += count), images);
  const combiner = new RunCombiner([{ evaluating }]);
  try {
    if (config.workers === 1) await alone(checkpoint, config, combiner);
    else await together({ folder, checkpoint, config, set, backend: args.backend, combiner });
  } finally {
    progress.close();
  }
  const evaluation = combiner.evaluation as Evaluation;
  if (args.out !== undefined) writeEvaluation(args.out, evaluation);
  const text = args.json ? JSON.stringify(evaluation) : describeEvaluation(evaluation, folder);
  process.stdout.write(`${text}\n`);
}

/** Opens the data before anything is started; resolves with the number of test images. */
async function checkData(config: Config, { classNames }: Checkpoint): Promise<number> {
  const dataset = await openDataset(config.data, { seed: config.seed, evaluated: classNames });
  await (await openUnknown(config, dataset))?.close();
  await dataset.close();
  return dataset.labels.test.length;
}

async function alone(checkpoint: Checkpoint, config: Config, combiner: RunCombiner): Promise<void> {
  await initBackend(config.backend);
  const evaluated = checkpoint.classNames;
  const dataset = await openDataset(config.data, { seed: config.seed, evaluated, notify: () => {} });
  const [communicator, reporter] = [new LocalCommunicator(), new LocalReporter(combiner)];
  try {
    await evaluateCheckpoint({ checkpoint, config, dataset, communicator, reporter });
  } finally {
    await dataset.close();
  }
}

interface Together {
  /** Of the checkpoint. */
  folder: string;
  checkpoint: Checkpoint;
  config: Config;
  set: readonly string[];
  backend?: string;
  combiner: RunCombiner;
}

async function together({ folder, checkpoint, config, set, backend, combiner }: Together): Promise<void> {
  const devices = await devicesOf(config.backend).plan({
    workers: config.workers,
    requireGpu: false,
    bindCores: config.distributed.bindCores,
  });
  const logDir = await mkdtemp(join(tmpdir(), 'pod-dist-evaluate-'));
  const workerArgs = ['--evaluate', folder, ...set.flatMap((assignment) => ['--set', assignment])];
  const { model } = checkpoint.config;
  if (model.name === 'module') workerArgs.push('--module', model.path);
  if (backend) workerArgs.push('--backend', backend);
  await runJob({ config, devices, logDir, workerArgs, combiner });
  await rm(logDir, { recursive: true, force: true });
}
