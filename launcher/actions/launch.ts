import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ArgumentsCamelCase } from 'yargs';
import { loadConfig } from '../../src/config/load.js';
import { pixelRulesOf, type Config } from '../../src/config/schema.js';
import { openDataset, openUnknown } from '../../src/data/index.js';
import { stepsPerEpoch } from '../../src/data/sampler.js';
import { StoppedError, UserError } from '../../src/util/errors.js';
import { openTrace } from '../../src/trace/trace-file.js';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { RunCombiner } from '../../src/record/combine.js';
import { checkWorkers } from '../../src/parallel/virtual-workers.js';
import {
  checkpointToResume,
  checkResumable,
  checkSameData,
  checkUnfinished,
  describeChanges,
} from '../../src/training/resume.js';
import { lastRunFolder, RunFolder } from '../../src/record/run-folder.js';
import { RunRecorder, type RunListener } from '../../src/record/run-record.js';
import type { Report } from '../../src/record/records.js';
import { goOnWithoutConsole } from '../../src/console/console.js';
import { devicesOf } from '../../src/backend/backends.js';
import { readGpus, type DevicePlan } from '../../src/backend/devices/devices.js';
import { Display } from '../../src/console/display.js';
import { refuseTask } from '../../src/job/join/environment.js';
import { type ModuleArguments, overrides, type Resume } from '../flags.js';
import { trustedConfig } from './trusted-config.js';
import { runJob } from '../../src/job/launch/job.js';
import { withErrorLog } from '../../src/job/launch/error-log.js';
import { untilSignal } from '../../src/util/signals.js';

export interface LaunchArguments extends ModuleArguments {
  gpus?: string;
  config?: string;
  set: string[];
  out?: string;
  resume?: Resume;
  requireGpu: boolean;
  json: boolean;
}

export async function launch(args: ArgumentsCamelCase<LaunchArguments>): Promise<void> {
  refuseTask(process.env);
  let folder = await earlierRun(args);
  try {
    const plan = await planRun(args, folder?.path);
    const { name, run } = plan.config;
    folder ??= await RunFolder.claim(name, { out: args.out, confidential: run.private });
    await trainIn(folder, plan, args.json);
    folder.release();
  } catch (error) {
    if (error instanceof UserError || error instanceof StoppedError) folder?.abandon();
    else folder?.release();
    throw error;
  }
}

/** With `--resume`: the run to go on with, if it is there. */
async function earlierRun({ resume, out, config, set }: LaunchArguments): Promise<RunFolder | undefined> {
  if (resume === undefined) return undefined;
  const path = out ?? lastRunFolder(loadConfig({ file: config, set }).name);
  if (path !== undefined && existsSync(path)) return RunFolder.reclaim(path);
  if (resume === 'start') return undefined;
  throw new UserError(
    'RUN_NOT_FOUND',
    `there is no run ${path ?? 'of this name below runs/'} to go on with: --resume, without =must, starts one`,
  );
}

/** What is to be trained, checked before anything is written. */
interface RunPlan {
  config: Config;
  resume?: Checkpoint;
  devices: DevicePlan;
  /** Training images. */
  images: number;
}

async function planRun(args: ArgumentsCamelCase<LaunchArguments>, folder?: string): Promise<RunPlan> {
  const own = folder && join(folder, 'config.yaml');
  const file = args.config ?? (own && existsSync(own) ? own : undefined);
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  const stored = folder !== undefined && file === own ? folder : undefined;
  const onDropped = stored ? notify : undefined;
  const resume = folder === undefined ? undefined : await checkpointToResume(folder, args.resume, notify);
  const pixelRules = resume && pixelRulesOf(resume.config.data);
  const flags = overrides(args);
  const wanted = readGpus(args.gpus);
  let gpus: number | undefined;
  if (wanted !== undefined) {
    const { backend } = loadConfig({ file, set: args.set, flags, onDropped: onDropped && (() => {}) });
    gpus = wanted === 'all' ? Math.max(1, await devicesOf(backend).countGpus()) : wanted;
    flags.push({ path: 'workers', value: gpus, source: `--gpus ${args.gpus}` });
  }
  const loaded = loadConfig({ file, set: args.set, flags, onDropped, pixelRules });
  const config = stored ? trustedConfig(loaded, { args, folder: stored, resume, notify }) : loaded;
  if (resume && folder !== undefined) {
    checkUnfinished(folder, resume, config);
    checkResumable(resume, config);
  }
  checkWorkers(config, config.workers);
  const devices = await devicesOf(config.backend).plan({
    gpus,
    workers: config.workers,
    requireGpu: args.requireGpu,
    bindCores: config.distributed.bindCores,
  });
  return { config, resume, devices, images: await checkData(config, resume) };
}

async function trainIn(folder: RunFolder, plan: RunPlan, json: boolean): Promise<void> {
  const { config, resume, devices, images } = plan;
  const display = new Display({
    epochs: config.epochs,
    stepsPerEpoch: stepsPerEpoch(images, config),
    resumedEpochs: resume?.epochs ?? 0,
    outDir: folder.path,
    terminal: !json && process.stderr.isTTY,
    write: (text) => (json ? process.stderr : process.stdout).write(text),
  });
  if (devices.notice) display.line(devices.notice);
  display.line(
    `${config.name}: ${images} images, ${counted(config.epochs, 'epoch')}, ${counted(config.workers, 'worker')}, run folder ${folder.path}`,
  );
  goOnWithoutConsole();
  const reports: Report[] = [];
  const listeners = [display, { finished: (report: Report) => void reports.push(report) }];
  try {
    await run(config, devices, { folder, resume, listeners });
  } finally {
    display.close();
  }
  if (json) process.stdout.write(`${JSON.stringify(reports[0])}\n`);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

async function checkData(config: Config, resume: Checkpoint | undefined): Promise<number> {
  const notify = config.workers === 1 ? () => {} : undefined;
  const dataset = await openDataset(config.data, { seed: config.seed, notify });
  await (await openUnknown(config, dataset))?.close();
  if (resume) {
    checkSameData(resume, dataset);
    const changes = await describeChanges(resume, config, dataset);
    if (changes) process.stderr.write(`${changes}\n`);
  }
  await dataset.close();
  return dataset.labels.train.length;
}

interface RunOptions {
  folder: RunFolder;
  resume?: Checkpoint;
  listeners: readonly RunListener[];
}

async function run(
  config: Config,
  devices: DevicePlan,
  { folder, resume, listeners }: RunOptions,
): Promise<void> {
  const outDir = folder.path;
  if (config.workers === 1) {
    Object.assign(process.env, devices.perWorker[0].env);
    const { trainAlone } = await import('../../src/training/alone.js');
    const options = { outDir, resume, listeners, requireGpu: devices.gpu };
    const work = untilSignal((signal) =>
      trainAlone(config, { ...options, signal: AbortSignal.any([signal, folder.lost]) }),
    );
    await withErrorLog(work, join(outDir, 'logs', 'rank-0.log'));
    return;
  }
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  const trace = openTrace(config.trace, { resumed: resume !== undefined, notify });
  try {
    const recorder = RunRecorder.open(outDir, config, resume?.epochs);
    const combiner = new RunCombiner([recorder, ...listeners]);
    const workerArgs = ['--config', join(outDir, 'config.yaml'), '--out', outDir];
    if (resume) workerArgs.push('--resume=must');
    if (devices.gpu) workerArgs.push('--require-gpu');
    try {
      const { lost } = folder;
      await runJob({ config, devices, logDir: join(outDir, 'logs'), workerArgs, combiner, trace, lost });
    } finally {
      recorder.close();
    }
  } finally {
    trace?.close();
  }
}
