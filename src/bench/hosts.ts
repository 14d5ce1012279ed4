import { availableParallelism } from 'node:os';
import { BenchmarkJob } from './job.js';
import { layerSizes } from './layer-sizes.js';
import { bitsPerSecond, namedHosts, ShapedLink } from './link.js';
import { fitNetwork } from './fit-network.js';
import type { TransportSettings } from './rank.js';
import {
  simulateAllReduce,
  simulateSteps,
  type Network,
  type SimulatedAlgorithm,
  type SimulatedSteps,
} from './simulation.js';
import { largest } from '../util/extremes.js';
import { median, slowest } from './statistics.js';

export interface HostsOptions {
  /** Numbers of hosts to measure, one rank on each: powers of two. */
  hosts: readonly number[];
  /** Rate of each host's link, such as `10gbit`. */
  rate: string;
  /** Milliseconds that each packet is kept back on its way. */
  delayMs: number;
  /** Bytes of the all-reduces. */
  sizes: readonly number[];
  model: keyof typeof layerSizes;
  bucketBytes: number;
  /** Milliseconds of a rank's computation in a step. */
  computeMs: number;
  steps: number;
  /** Of `distributed`, over its defaults; an algorithm is the only one that is measured. */
  settings?: Partial<TransportSettings>;
  notify(line: string): void;
}

/** An all-reduce, or a step of data-parallel training, measured between hosts of this machine and predicted. */
export interface HostRow {
  hosts: number;
  what: 'all-reduce' | 'step';
  algorithm: SimulatedAlgorithm;
  /** Of an all-reduce. */
  bytes?: number;
  /** Buckets that may travel at once, in a step. */
  inFlight?: number;
  medianMs: number;
  predictedMs: number;
}

export interface HostsResult {
  rows: HostRow[];
  /** Fitted to the all-reduces of all numbers of hosts but the largest. */
  network: Network;
}

type Measured = Omit<HostRow, 'predictedMs'>;
const ways = [
  ['ring', 3],
  ['two-shot', 3],
  ['halving-doubling', 3],
  ['halving-doubling', 1],
] as const;

/**
 * Measures all-reduces and steps between ranks that have a host each, in network namespaces behind a delay and a shaped
 * rate, by every algorithm; fits what a message costs the processors to the smaller numbers of hosts, and predicts all by
 * simulation.
 */
export async function benchmarkHosts(options: HostsOptions): Promise<HostsResult> {
  const { hosts, rate, delayMs } = options;
  const measured: Measured[] = [];
  for (const count of hosts) for (const row of await measureHosts(count, options)) measured.push(row);
  const link = { hopMs: delayMs, byteMs: 8000 / bitsPerSecond(rate), cores: availableParallelism() };
  const most = largest(hosts);
  const samples = measured.filter(
    (row) => row.what === 'all-reduce' && (row.hosts < most || hosts.length === 1),
  );
  const network = fitNetwork(
    link,
    samples.map((row) => ({ ...row, bytes: row.bytes ?? 0 })),
  );
  const rows = measured.map((row) => ({ ...row, predictedMs: predict(network, row, options) }));
  return { rows, network };
}

async function measureHosts(hosts: number, options: HostsOptions): Promise<Measured[]> {
  const { rate, delayMs, sizes, computeMs, bucketBytes, steps, settings, notify } = options;
  const layers = layerSizes[options.model];
  const rows: Measured[] = [];
  const link = ShapedLink.create(hosts, rate);
  try {
    await link.delay(delayMs);
    for (const [algorithm, inFlight] of ways.filter(([name]) => isWanted(name, settings))) {
      notify(`${hosts} hosts, ${algorithm}, ${inFlight} in flight`);
      const about = { ...settings, algorithm, bucketsInFlight: inFlight };
      const shaping = namedHosts(link);
      const job = await BenchmarkJob.start({
        workers: hosts,
        transport: 'tcp',
        link: shaping,
        settings: about,
      });
      try {
        for (const bytes of inFlight === 1 ? [] : sizes) {
          const run = { name: 'allReduce', bytes, iterations: 15, warmups: 5 } as const;
          const results = await job.run(run);
          const medianMs = median(slowest(results.map(({ times }) => times)));
          rows.push({ hosts, what: 'all-reduce', algorithm, bytes, medianMs });
        }
        const task = { layers, bucketBytes, steps, warmups: 2, computeMs } as const;
        const results = await job.run({ name: 'step', overlap: true, wire: 'float32', ...task });
        const medianMs = median(slowest(results.map(({ stepMs }) => stepMs)));
        rows.push({ hosts, what: 'step', algorithm, inFlight, medianMs });
      } finally {
        await job.stop();
      }
    }
  } finally {
    link.close();
  }
  return rows;
}

function predict(
  network: Network,
  { hosts, algorithm, bytes, inFlight = 1 }: Measured,
  options: HostsOptions,
): number {
  if (bytes !== undefined) return simulateAllReduce(network, hosts, { bytes, algorithm });
  const { computeMs, bucketBytes, model } = options;
  const about: SimulatedSteps = {
    layers: layerSizes[model],
    ...{ computeMs, bucketBytes, inFlight },
    algorithmFor: () => algorithm,
  };
  return simulateSteps(network, hosts, about);
}

function isWanted(
  name: SimulatedAlgorithm,
  { algorithm = 'auto' }: Partial<TransportSettings> = {},
): boolean {
  return algorithm === 'auto' || algorithm === name;
}
