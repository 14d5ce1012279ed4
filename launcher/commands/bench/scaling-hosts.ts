import Table from 'cli-table3';
import { benchmarkHosts, type HostsResult } from '../../../src/bench/hosts.js';
import type { layerSizes } from '../../../src/bench/layer-sizes.js';
import { bitsPerSecond } from '../../../src/bench/link.js';
import { predictScaling, type PredictedRow } from '../../../src/bench/predict-scaling.js';
import { formatSize, parseSize } from '../../../src/bench/sizes.js';
import { UserError } from '../../../src/util/errors.js';
import { parseSettings } from './settings.js';

interface HostsArguments {
  model: string;
  hosts?: string;
  delay?: string;
  rate?: string;
  sizes: string;
  compute?: number;
  bucket: string;
  steps: number;
  seed: number;
  set: string[];
  json: boolean;
}

const style = { head: [], border: [] };

/** Of an Intel Xeon core without encryption; benchmarks/results/scaling.md says how it was measured. */
const processor = { messageMs: 0.012, handlingMs: 2.5e-7 };

/** Measures workers on hosts of their own behind a delay, and says what the simulation makes of them. */
export async function measureHosts(args: HostsArguments & { hosts: string }): Promise<void> {
  const result = await benchmarkHosts({
    hosts: parseHosts(args.hosts, 250),
    rate: parseRate(args.rate ?? '10gbit'),
    delayMs: args.delay === undefined ? 0 : parseDelay(args.delay),
    sizes: args.sizes.split(',').map(parseSize),
    model: args.model as keyof typeof layerSizes,
    bucketBytes: parseSize(args.bucket),
    computeMs: args.compute ?? 100,
    steps: args.steps,
    settings: parseSettings(args.set),
    notify: (line) => process.stderr.write(`${line}\n`),
  });
  if (args.json) for (const row of result.rows) process.stdout.write(`${JSON.stringify(row)}\n`);
  else process.stdout.write(`${hostTable(result)}\n`);
}

/** Predicts steps over many hosts. */
export function simulateScaling(args: HostsArguments): void {
  const table = new Table({
    head: ['hosts', 'link', 'hop us', '', 'step ms', 'efficiency'],
    colAligns: ['right', 'right', 'right', 'left', 'right', 'right'],
    style,
  });
  const each = (row: PredictedRow) => {
    if (args.json) process.stdout.write(`${JSON.stringify(row)}\n`);
    const { hosts, rate, hopMs, variant, stepMs, efficiency } = row;
    const numbers = [stepMs.toFixed(1), `${(100 * efficiency).toFixed(1)} %`];
    table.push([hosts, rate, (hopMs * 1000).toFixed(0), variant, ...numbers]);
  };
  const options = {
    hosts: parseHosts(args.hosts ?? '64,256,1024', 4096),
    rates: (args.rate ?? '10gbit,100gbit').split(',').map(parseRate),
    hopsMs: (args.delay ?? '188us,30us').split(',').map(parseDelay),
    model: args.model as keyof typeof layerSizes,
    ...{ processor, seed: args.seed, computeMs: args.compute ?? 100, bucketBytes: parseSize(args.bucket) },
  };
  predictScaling(options, each);
  if (!args.json) process.stdout.write(`${table.toString()}\n`);
}

function hostTable({ rows, network: { hopMs, messageMs, handlingMs } }: HostsResult): string {
  const table = new Table({
    head: ['hosts', '', 'algorithm', 'in flight', 'measured ms', 'predicted ms', 'off'],
    colAligns: ['right', 'left', 'left', 'right', 'right', 'right', 'right'],
    style,
  });
  for (const { hosts, what, algorithm, bytes, inFlight, medianMs, predictedMs } of rows) {
    const name = bytes === undefined ? what : `${what} of ${formatSize(bytes)}`;
    const off = `${((100 * predictedMs) / medianMs - 100).toFixed(0)} %`;
    table.push([hosts, name, algorithm, inFlight ?? '', medianMs.toFixed(1), predictedMs.toFixed(1), off]);
  }
  const fitted = `Fitted to all numbers of hosts but the largest: ${(hopMs * 1000).toFixed(0)} us a hop, ${(messageMs * 1000).toFixed(0)} us of a processor a message at either end, ${(1e-6 / handlingMs).toFixed(1)} GB/s to pack or add.`;
  return `${table.toString()}\n${fitted}`;
}

function parseHosts(text: string, most: number): number[] {
  return text.split(',').map((one) => {
    const hosts = Number(one);
    if (hosts >= 2 && hosts <= most && Number.isInteger(Math.log2(hosts))) return hosts;
    throw new UserError('USAGE', `--hosts ${one}: give powers of two from 2 to ${most}, such as 4,8,16`);
  });
}

function parseRate(text: string): string {
  if (/^\d+(\.\d+)?[kmgt]?bit$/i.test(text) && bitsPerSecond(text) > 0) return text;
  throw new UserError('USAGE', `--rate ${text}: give a rate such as 10gbit or 100mbit`);
}

/** Milliseconds. */
function parseDelay(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(us|ms)$/.exec(text) ?? [];
  const milliseconds = Number(number) * (unit === 'us' ? 0.001 : 1);
  if (milliseconds >= 0 && milliseconds <= 1000) return milliseconds;
  throw new UserError('USAGE', `--delay ${text}: give a time such as 188us or 1ms, of a second at most`);
}
