import Table from 'cli-table3';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import {
  allReduceTransports,
  benchmarkAllReduce,
  type AllReduceRow,
  type AllReduceTransport,
} from '../../../src/bench/all-reduce.js';
import { plotAllReduce } from '../../../src/bench/plot.js';
import { parseSize, formatSize } from '../../../src/bench/sizes.js';
import { UserError } from '../../../src/util/errors.js';
import { requireReplaceable } from '../../../src/util/regular-file.js';
import { parseSettings, settingsFlag } from './settings.js';

interface AllReduceArguments {
  workers: number;
  sizes: string;
  transport: string;
  rounds: number;
  peers: boolean;
  python: string;
  set: string[];
  json: boolean;
  svg?: string;
}

export const allReduceCommand: CommandModule<object, AllReduceArguments> = {
  command: 'allreduce',
  describe: 'all-reduce over real workers, beside Open MPI and gloo',
  builder: (yargs) =>
    yargs
      .option('workers', { type: 'number', alias: 'n', default: 2, requiresArg: true, describe: 'workers' })
      .option('sizes', {
        type: 'string',
        default: '64KB,1MB,10MB,100MB',
        requiresArg: true,
        describe: 'payloads, with KB, MB, GB (thousands) or KiB, MiB, GiB',
      })
      .option('transport', {
        type: 'string',
        default: 'ipc',
        requiresArg: true,
        describe:
          'ipc (in shared memory, where it is set up), files (through pipes and files), tcp, or several as ipc,tcp',
      })
      .option('rounds', {
        type: 'number',
        default: 5,
        requiresArg: true,
        describe: 'turns of every system at every size',
      })
      .option('peers', {
        type: 'boolean',
        default: false,
        describe: 'measure Open MPI and gloo as well, where they are installed',
      })
      .option('python', {
        type: 'string',
        default: 'python3',
        requiresArg: true,
        describe: 'interpreter that has PyTorch, for gloo',
      })
      .option('set', settingsFlag)
      .option('json', { type: 'boolean', default: false, describe: 'print one JSON object a row instead' })
      .option('svg', { type: 'string', requiresArg: true, describe: 'draw bus bandwidth over size' })
      .example('$0 bench allreduce --workers 4 --peers', 'four workers, beside the peers'),
  handler: benchAllReduce,
};

async function benchAllReduce(args: ArgumentsCamelCase<AllReduceArguments>): Promise<void> {
  const { workers, rounds, peers, python, json, svg } = args;
  if (svg !== undefined) requireReplaceable(svg);
  if (!Number.isInteger(workers) || workers < 2)
    throw new UserError('USAGE', '--workers: at least 2 ranks have something to reduce');
  if (!Number.isInteger(rounds) || rounds < 1) throw new UserError('USAGE', '--rounds: at least 1');
  const rows = await benchmarkAllReduce({
    workers,
    rounds,
    peers,
    python,
    settings: parseSettings(args.set),
    sizes: args.sizes.split(',').map(parseSize),
    transports: args.transport.split(',').map(parseTransport),
    notify: (line) => process.stderr.write(`${line}\n`),
  });
  if (svg !== undefined) writeFileAtomicSync(svg, plotAllReduce(rows));
  if (json) for (const row of rows) process.stdout.write(`${JSON.stringify(row)}\n`);
  else process.stdout.write(`${toTable(rows)}\n`);
}

function parseTransport(text: string): AllReduceTransport {
  const transport = allReduceTransports.find((one) => one === text);
  if (transport) return transport;
  throw new UserError('USAGE', `--transport: ${text} is none of ${allReduceTransports.join(', ')}`);
}

function toTable(rows: readonly AllReduceRow[]): string {
  const table = new Table({
    head: [
      'size',
      'count',
      'type',
      'op',
      'system',
      'algorithm',
      'time ms',
      'min ms',
      'algbw GB/s',
      'busbw GB/s',
      'errors',
    ],
    colAligns: ['right', 'right', 'left', 'left', 'left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { bytes, system, algorithm = '', medianMs, minMs, algorithmGBps, busGBps, errors } of rows) {
    const figures = [medianMs, minMs].map((ms) => ms.toFixed(3));
    const bandwidths = [algorithmGBps, busGBps].map((rate) => rate.toFixed(2));
    table.push([
      formatSize(bytes),
      bytes / 4,
      'float32',
      'sum',
      system,
      algorithm,
      ...figures,
      ...bandwidths,
      errors,
    ]);
  }
  return table.toString();
}
