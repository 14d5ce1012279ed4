import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Argv, ArgumentsCamelCase, CommandModule } from 'yargs';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { openDataset, openUnknown } from '../../src/data/index.js';
import { stepsPerEpoch } from '../../src/data/sampler.js';
import { openTrace } from '../../src/trace/trace-file.js';
import { trainAlone } from '../../src/training/alone.js';
import { findCheckpoint, type Checkpoint } from '../../src/training/checkpoint.js';
import { RunCombiner } from '../../src/training/combine.js';
import { checkWorkers } from '../../src/training/logical-shards.js';
import { checkResumable } from '../../src/training/resume.js';
import { RunRecorder, type Report, type RunListener } from '../../src/training/run-record.js';
import { planDevices, type DevicePlan } from '../devices.js';
import { Display } from '../display.js';
import { overrides, recipeFlags, runFlags } from '../flags.js';
import { runJob } from '../job.js';
import { lastRunFolder, newRunFolder } from '../run-folder.js';
import { withErrorLog } from '../error-log.js';
import { untilSignal } from '../signals.js';
import { summaries } from '../summaries.js';

interface LaunchArguments {
  gpus?: number;
  config?: string;
  set: string[];
  out?: string;
  resume: boolean;
  requireGpu: boolean;
  json: boolean;
}

export const launchCommand: CommandModule<object, LaunchArguments> = {
  command: 'launch',
  describe: summaries.launch,
  builder: (yargs) =>
    (yargs.options({ ...recipeFlags(), ...runFlags }) as Argv<LaunchArguments>)
      .option('gpus', {
        type: 'number',
        alias: 'g',
        requiresArg: true,
        conflicts: 'workers',
        describe: 'workers, one a GPU (on the CPU where there is no GPU)',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the report as JSON, and nothing else, on standard output',
      })
      .example('$0 launch --workers 4', 'train the embedded digits with four workers')
      .example(
        '$0 launch --gpus 2 --config cifar10-resnet20 --set data.root=./cifar10',
        'train on an image folder, a worker a GPU',
      )
      .example(
        '$0 launch --resume --out runs/digits --epochs 60',
        'go on with a run, for 60 epochs in all',
      ) as Argv<LaunchArguments>,
  handler: launch,
};

async function launch(args: ArgumentsCamelCase<LaunchArguments>): Promise<void> {
  const folder = args.resume ? resumedFolder(args) : undefined;
  const own = folder && join(folder, 'config.yaml');
  const file = args.config ?? (own && existsSync(own) ? own : undefined);
  const settings = { ...overrides(args), ...(args.gpus === undefined ? {} : { workers: args.gpus }) };
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  const onDropped = file && file === own ? notify : undefined;
  const config = loadConfig({ file, set: args.set, flags: settings, onDropped });
  const resume = folder ? (await findCheckpoint(folder, notify)).checkpoint : undefined;
  if (resume) checkResumable(resume, config);
  checkWorkers(config, config.workers);
  const devices = await planDevices({
    gpus: args.gpus,
    workers: config.workers,
    requireGpu: args.requireGpu,
    backend: config.backend,
    bindCores: config.distributed.bindCores,
  });
  const images = await checkData(config);
  const outDir = folder ?? newRunFolder(config.name, args.out);

  const display = new Display({
    epochs: config.epochs,
    stepsPerEpoch: stepsPerEpoch(images, config),
    resumedEpochs: resume?.epochs ?? 0,
    outDir,
    terminal: !args.json && process.stderr.isTTY,
    write: (text) => (args.json ? process.stderr : process.stdout).write(text),
  });
  if (devices.notice) display.line(devices.notice);
  display.line(
    `${config.name}: ${images} images, ${counted(config.epochs, 'epoch')}, ${counted(config.workers, 'worker')}, run folder ${outDir}`,
  );
  const reports: Report[] = [];
  const listeners = [display, { finished: (report: Report) => void reports.push(report) }];
  try {
    await run(config, devices, { outDir, resume, listeners });
  } finally {
    display.close();
  }
  if (args.json) process.stdout.write(`${JSON.stringify(reports[0])}\n`);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function resumedFolder({ out, config, set }: LaunchArguments): string {
  return out ?? lastRunFolder(loadConfig({ file: config, set }).name);
}

async function checkData(config: Config): Promise<number> {
  const notify = config.workers === 1 ? () => {} : undefined;
  const dataset = await openDataset(config.data, { seed: config.seed, notify });
  await (await openUnknown(config, dataset))?.close();
  await dataset.close();
  return dataset.labels.train.length;
}

interface RunOptions {
  outDir: string;
  resume?: Checkpoint;
  listeners: readonly RunListener[];
}

async function run(
  config: Config,
  devices: DevicePlan,
  { outDir, resume, listeners }: RunOptions,
): Promise<void> {
  if (config.workers === 1) {
    Object.assign(process.env, devices.perWorker[0].env);
    const options = { outDir, resume, listeners, requireGpu: devices.gpu };
    const work = untilSignal((signal) => trainAlone(config, { ...options, signal }));
    await withErrorLog(work, join(outDir, 'logs', 'rank-0.log'));
    return;
  }
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  const trace = openTrace(config.trace, { resumed: resume !== undefined, notify });
  try {
    const recorder = RunRecorder.open(outDir, config, resume?.epochs);
    const combiner = new RunCombiner([recorder, ...listeners]);
    const workerArgs = ['--config', join(outDir, 'config.yaml'), '--out', outDir];
    if (resume) workerArgs.push('--resume');
    if (devices.gpu) workerArgs.push('--require-gpu');
    try {
      await runJob({ config, devices, logDir: join(outDir, 'logs'), workerArgs, combiner, trace });
    } finally {
      recorder.close();
    }
  } finally {
    trace?.close();
  }
}
