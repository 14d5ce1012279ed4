import Table from 'cli-table3';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Argv, ArgumentsCamelCase, CommandModule } from 'yargs';
import { initBackend } from '../../src/backend/index.js';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { openDataset } from '../../src/data/index.js';
import { perClassAccuracy, type EvaluationTotals } from '../../src/evaluation/totals.js';
import { findCheckpoint, type Checkpoint } from '../../src/training/checkpoint.js';
import { RunCombiner } from '../../src/training/combine.js';
import { evaluateCheckpoint } from '../../src/training/evaluate-checkpoint.js';
import { LocalReporter } from '../../src/training/local-reporter.js';
import { planDevices } from '../devices.js';
import { checkpointFlag } from '../flags.js';
import { runJob } from '../job.js';

interface EvaluateArguments {
  checkpoint: string;
  workers: number;
  backend?: string;
  set: string[];
  json: boolean;
}

export const evaluateCommand: CommandModule<object, EvaluateArguments> = {
  command: 'evaluate',
  describe: "count a checkpoint's test images: the same integers for any number of workers",
  builder: (yargs) =>
    yargs
      .option('checkpoint', checkpointFlag)
      .option('workers', {
        type: 'number',
        alias: 'n',
        default: 1,
        requiresArg: true,
        describe: 'worker processes',
      })
      .option('backend', { type: 'string', requiresArg: true, describe: 'auto, native, webgpu, wasm or cpu' })
      .option('set', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        describe: 'override a setting, such as --set data.root=./images',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the totals as JSON, and nothing else',
      })
      .example('$0 evaluate --checkpoint runs/digits', 'the newest checkpoint of a run')
      .example(
        '$0 evaluate --checkpoint runs/digits/checkpoints/epoch-0010 -n 4 --json',
        'one checkpoint, with four workers',
      ) as Argv<EvaluateArguments>,
  handler: evaluate,
};

async function evaluate(args: ArgumentsCamelCase<EvaluateArguments>): Promise<void> {
  const skipped = (line: string) => process.stderr.write(`${line}\n`);
  const { folder, checkpoint } = await findCheckpoint(args.checkpoint, skipped);
  const config = loadConfig({
    base: checkpoint.config,
    set: args.set,
    flags: { workers: args.workers, backend: args.backend },
  });
  const totals =
    config.workers === 1 ? await alone(checkpoint, config) : await together(folder, config, args);
  if (args.json) process.stdout.write(`${JSON.stringify(totals)}\n`);
  else process.stdout.write(`${describe(totals, checkpoint.classNames, folder)}\n`);
}

async function alone(checkpoint: Checkpoint, config: Config): Promise<EvaluationTotals> {
  await initBackend(config.backend);
  const dataset = await openDataset(config.data, { seed: config.seed });
  try {
    const reporter = new LocalReporter(new RunCombiner([]));
    return await evaluateCheckpoint({ checkpoint, dataset, communicator: new LocalCommunicator(), reporter });
  } finally {
    await dataset.close();
  }
}

async function together(
  folder: string,
  config: Config,
  { set, backend }: EvaluateArguments,
): Promise<EvaluationTotals> {
  const devices = await planDevices({ workers: config.workers, requireGpu: false, backend: config.backend });
  const dataset = await openDataset(config.data, { seed: config.seed });
  await dataset.close();
  const logDir = await mkdtemp(join(tmpdir(), 'pod-dist-evaluate-'));
  const workerArgs = ['--evaluate', folder, ...set.flatMap((assignment) => ['--set', assignment])];
  if (backend) workerArgs.push('--backend', backend);
  const combiner = new RunCombiner([]);
  await runJob({ config, devices, logDir, workerArgs, combiner });
  await rm(logDir, { recursive: true, force: true });
  return combiner.evaluation as EvaluationTotals;
}

function describe(totals: EvaluationTotals, classNames: readonly string[], folder: string): string {
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  const table = new Table({
    head: ['class', 'images', 'correct', 'accuracy'],
    style: { head: [], border: [] },
  });
  perClassAccuracy(totals).forEach((accuracy, index) => {
    table.push([classNames[index], totals.classTotal[index], totals.classCorrect[index], percent(accuracy)]);
  });
  const { correct, total, cosineSum } = totals;
  return (
    `${folder}: accuracy ${percent(correct / total)} (${correct}/${total}), mean cosine to the own centroid ` +
    `${(cosineSum / total).toFixed(4)}\n${table.toString()}`
  );
}
