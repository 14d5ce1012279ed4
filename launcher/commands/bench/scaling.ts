import Table from 'cli-table3';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { layerSizes } from '../../../src/bench/layer-sizes.js';
import { plotScaling } from '../../../src/bench/plot.js';
import { benchmarkScaling, type ScalingResult, type ScalingRow } from '../../../src/bench/scaling.js';
import { formatSize, parseSize } from '../../../src/bench/sizes.js';
import { UserError } from '../../../src/util/errors.js';
import { requireReplaceable } from '../../../src/util/regular-file.js';
import { measureHosts, simulateScaling } from './scaling-hosts.js';
import { parseSettings, settingsFlag } from './settings.js';

interface ScalingArguments {
  model: string;
  workers: string;
  transport: string;
  compute?: number;
  bucket: string;
  wire: string;
  steps: number;
  link?: string;
  hosts?: string;
  delay?: string;
  rate?: string;
  sizes: string;
  simulate: boolean;
  seed: number;
  set: string[];
  json: boolean;
  svg?: string;
}

export const scalingCommand: CommandModule<object, ScalingArguments> = {
  command: 'scaling',
  describe: 'steps of a given compute time over real workers, and a prediction up to 1,024',
  builder: (yargs) =>
    yargs
      .option('model', {
        choices: Object.keys(layerSizes),
        default: 'resnet50',
        describe: 'whose layer sizes',
      })
      .option('workers', {
        type: 'string',
        alias: 'n',
        default: '1,2,4,8,16',
        requiresArg: true,
        describe: 'worlds to measure',
      })
      .option('transport', { choices: ['ipc', 'tcp'], default: 'ipc', describe: 'between workers' })
      .option('compute', {
        type: 'number',
        requiresArg: true,
        describe:
          "milliseconds of a worker's step (default: its backward pass, two thirds, equals the first world's communication)",
      })
      .option('bucket', { type: 'string', default: '8MB', requiresArg: true, describe: 'bytes of a bucket' })
      .option('wire', {
        type: 'string',
        default: 'float32',
        requiresArg: true,
        describe: 'float32, bf16, or both as float32,bf16',
      })
      .option('steps', { type: 'number', default: 9, requiresArg: true, describe: 'steps of each kind' })
      .option('link', {
        type: 'string',
        requiresArg: true,
        describe: 'workers in network namespaces behind a link of this rate, such as 10gbit (Linux, root)',
      })
      .option('hosts', {
        type: 'string',
        requiresArg: true,
        describe:
          'numbers of hosts, such as 4,8,16: a worker on each, in network namespaces (Linux, root), measured and predicted; with --simulate default 64,256,1024',
      })
      .option('delay', {
        type: 'string',
        requiresArg: true,
        describe:
          'of each packet between --hosts, such as 1ms or 188us; with --simulate of a hop, or several',
      })
      .option('rate', {
        type: 'string',
        requiresArg: true,
        describe: "of each of the --hosts' links (default 10gbit); with --simulate also several",
      })
      .option('sizes', {
        type: 'string',
        default: '64KB,1MB',
        requiresArg: true,
        describe: 'all-reduces between --hosts',
      })
      .option('simulate', {
        type: 'boolean',
        default: false,
        describe: 'predict steps over many --hosts by simulation, with nothing measured',
      })
      .option('seed', {
        type: 'number',
        default: 1,
        requiresArg: true,
        describe: 'of stragglers in --simulate',
      })
      .option('set', settingsFlag)
      .option('json', { type: 'boolean', default: false, describe: 'print one JSON object a row instead' })
      .option('svg', { type: 'string', requiresArg: true, describe: 'draw efficiency over workers' })
      .example(
        '$0 bench scaling --hosts 4,8,16 --delay 1ms',
        'hosts behind a delay, and what a simulation says',
      )
      .example('$0 bench scaling --simulate --compute 64.5', 'up to 1,024 hosts')
      .example('$0 bench scaling --workers 2 --link 10gbit --wire float32,bf16', 'two hosts on a slow link'),
  handler: benchScaling,
};

async function benchScaling(args: ArgumentsCamelCase<ScalingArguments>): Promise<void> {
  const { compute, steps, link, json, svg } = args;
  if (args.simulate) return simulateScaling(args);
  if (args.hosts !== undefined) return measureHosts({ ...args, hosts: args.hosts });
  if (args.delay !== undefined || args.rate !== undefined)
    throw new UserError('USAGE', '--delay and --rate go with --hosts or --simulate; a link alone is --link');
  if (svg !== undefined) requireReplaceable(svg);
  if (compute !== undefined && !(compute >= 0)) throw new UserError('USAGE', '--compute: at least 0');
  if (!Number.isInteger(steps) || steps < 1) throw new UserError('USAGE', '--steps: at least 1');
  const result = await benchmarkScaling({
    model: args.model as keyof typeof layerSizes,
    workers: args.workers.split(',').map(parseWorkers),
    transport: args.transport as 'ipc' | 'tcp',
    computeMs: compute,
    bucketBytes: parseSize(args.bucket),
    wires: args.wire.split(',').map(parseWire),
    steps,
    link,
    settings: parseSettings(args.set),
    notify: (line) => process.stderr.write(`${line}\n`),
  });
  if (svg !== undefined) writeFileAtomicSync(svg, plotScaling(result.rows));
  if (json) {
    for (const row of [...result.links, ...result.rows]) process.stdout.write(`${JSON.stringify(row)}\n`);
    return;
  }
  process.stdout.write(`${linkTable(result)}\n${stepTable(result.rows)}\n${assumptions(result)}\n`);
}

function parseWorkers(text: string): number {
  const workers = Number(text);
  if (Number.isInteger(workers) && workers >= 1) return workers;
  throw new UserError('USAGE', `--workers: ${text} is no number of workers; give some, such as 1,2,4`);
}

function parseWire(text: string): 'float32' | 'bf16' {
  if (text === 'float32' || text === 'bf16') return text;
  throw new UserError('USAGE', `--wire: ${text} is neither float32 nor bf16`);
}

function linkTable({ links }: ScalingResult): string {
  const table = new Table({
    head: ['workers', 'wire', 'all-reduce of', 'time ms', 'of line rate'],
    colAligns: ['right', 'left', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { workers, wire, bytes, medianMs, lineRate } of links) {
    const share = lineRate === undefined ? '' : `${(100 * lineRate).toFixed(1)} %`;
    table.push([workers, wire, formatSize(bytes), medianMs.toFixed(2), share]);
  }
  return table.toString();
}

function stepTable(rows: readonly ScalingRow[]): string {
  const table = new Table({
    head: [
      'workers',
      'scaling',
      'overlap',
      'wire',
      'compute ms',
      'comm ms',
      'step ms',
      'exposed',
      'efficiency',
      '',
    ],
    colAligns: ['right', 'left', 'left', 'left', 'right', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const times = [row.computeMs, row.communicationMs, row.stepMs].map((ms) => ms.toFixed(1));
    const exposed =
      row.communicationMs > 0 ? `${((100 * row.exposedMs) / row.communicationMs).toFixed(0)} %` : '';
    table.push([
      row.workers,
      row.scaling,
      row.overlap ? 'yes' : 'no',
      row.wire,
      ...times,
      exposed,
      `${(100 * row.efficiency).toFixed(1)} %`,
      row.predicted ? 'predicted' : 'measured',
    ]);
  }
  return table.toString();
}

function assumptions({ fitted: { hopMs, byteMs }, parameters }: ScalingResult): string {
  return [
    `${parameters.toLocaleString('en')} parameters; fitted: ${(hopMs * 1000).toFixed(1)} us a hop, ${(1e-6 / byteMs).toFixed(2)} GB/s a rank.`,
    'Predicted rows assume ranks with cores and a full-duplex connection of their own, as fast as the fit; a ring, or',
    'rings within hosts of eight and then across where that is faster; no contention in the network, no stragglers, and',
    'a backward pass (two thirds of the computation) spread evenly over the layers.',
  ].join('\n');
}
