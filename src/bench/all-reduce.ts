import { BenchmarkJob, type BenchJobOptions } from './job.js';
import { findPeers } from './peers/index.js';
import type { Peer } from './peers/peer.js';
import { median, slowest } from './statistics.js';
import { smallest } from '../util/extremes.js';

/** Ways between workers: within a host in shared memory (where it is set up), or through pipes and files; tcp. */
export const allReduceTransports = ['ipc', 'files', 'tcp'] as const;
export type AllReduceTransport = (typeof allReduceTransports)[number];

export interface AllReduceOptions extends Omit<BenchJobOptions, 'transport'> {
  transports: readonly AllReduceTransport[];
  /** Payloads in bytes. */
  sizes: readonly number[];
  /** Number of times that every system is measured at every size; systems take turns within a round. */
  rounds: number;
  peers: boolean;
  python: string;
  notify(line: string): void;
}

/** One system at one size. */
export interface AllReduceRow {
  bytes: number;
  medianMs: number;
  minMs: number;
  /** Bytes over the median time. */
  algorithmGBps: number;
  /** `algorithmGBps` times 2 (N - 1)/N: what each link carries at least, whatever N is. */
  busGBps: number;
  /** Name of the peer; absent for pod-dist itself. */
  peer?: string;
  system: string;
  /** Algorithm that ran, for pod-dist. */
  algorithm?: string;
  version?: string;
  workers: number;
  /** Number of elements that are not the exact sum. */
  errors: number;
}

/** Result of one measurement. */
interface Measured {
  times: number[];
  errors: number;
  algorithm?: string;
}

interface System {
  name: string;
  peer?: Peer;
  measure(run: { bytes: number; iterations: number; warmups: number }): Promise<Measured>;
}

/**
 * Measures float32 sums over real workers, and the peers that are installed here beside them, in turns, so that a
 * disturbance of the machine hits all of them. A time is the slowest rank's, from a barrier to the call's end.
 */
export async function benchmarkAllReduce(options: AllReduceOptions): Promise<AllReduceRow[]> {
  const { workers, sizes, rounds, transports, notify } = options;
  const jobs: BenchmarkJob[] = [];
  const peers = options.peers ? await findPeers(options) : [];
  try {
    const systems: System[] = [];
    for (const transport of transports) {
      const job = await BenchmarkJob.start({ ...options, ...settingsOf(transport, options) });
      jobs.push(job);
      systems.push({ name: `pod-dist ${transport}`, measure: (run) => measureOwn(job, run) });
    }
    for (const peer of peers) systems.push({ name: peer.name, peer, measure: peer.measure.bind(peer) });
    const rows: AllReduceRow[] = [];
    for (const bytes of sizes) {
      const results = systems.map((): Measured => ({ times: [], errors: 0 }));
      for (let round = 0; round < rounds; round++) {
        for (const [index, system] of systems.entries()) {
          const { times, errors, algorithm } = await system.measure({ bytes, ...repetitions(bytes) });
          results[index].algorithm = algorithm;
          results[index].times = results[index].times.concat(times);
          results[index].errors += errors;
        }
      }
      for (const [index, result] of results.entries())
        rows.push(toRow(bytes, workers, systems[index], result));
    }
    return rows;
  } finally {
    for (const job of jobs) await job.stop();
    for (const peer of peers) await peer.close().catch((error: unknown) => notify(String(error)));
  }
}

function settingsOf(transport: AllReduceTransport, { settings }: AllReduceOptions) {
  if (transport !== 'files') return { transport };
  return { transport: 'ipc', settings: { ...settings, sharedMemory: 'off' } } as const;
}

/**
 * Iterations a round: many where one is short. Caches and threads that have been idle are warm after a few, what V8
 * compiles after some hundred.
 */
function repetitions(bytes: number): { iterations: number; warmups: number } {
  if (bytes <= 200_000) return { iterations: 1000, warmups: 1000 };
  if (bytes <= 2_000_000) return { iterations: 40, warmups: 20 };
  return bytes <= 20_000_000 ? { iterations: 20, warmups: 10 } : { iterations: 7, warmups: 3 };
}

async function measureOwn(job: BenchmarkJob, run: { bytes: number; iterations: number; warmups: number }) {
  const results = await job.run({ name: 'allReduce', ...run });
  return {
    times: slowest(results.map(({ times }) => times)),
    errors: results.reduce((sum, { errors }) => sum + errors, 0),
    algorithm: results[0].algorithm,
  };
}

function toRow(
  bytes: number,
  workers: number,
  { name, peer }: System,
  { times, errors, algorithm }: Measured,
): AllReduceRow {
  const medianMs = median(times);
  const algorithmGBps = bytes / medianMs / 1e6;
  return {
    bytes,
    medianMs,
    minMs: smallest(times),
    algorithmGBps,
    busGBps: (algorithmGBps * 2 * (workers - 1)) / workers,
    ...(peer ? { peer: peer.name, version: peer.version } : {}),
    system: name,
    ...(algorithm === undefined ? {} : { algorithm }),
    workers,
    errors,
  };
}
