import { availableParallelism } from 'node:os';
import type { WireType } from '../collective/communicator.js';
import { allReduceMs, fitLink, stepMs, type LinkModel, type Sample } from './cost-model.js';
import { BenchmarkJob } from './job.js';
import { layerSizes } from './layer-sizes.js';
import { bitsPerSecond, ShapedLink } from './link.js';
import type { TransportSettings } from './rank.js';
import { median, slowest } from './statistics.js';

export interface ScalingOptions {
  model: keyof typeof layerSizes;
  /** World sizes to measure. */
  workers: readonly number[];
  transport: 'ipc' | 'tcp';
  /**
   * Milliseconds of one worker's computation a step; undefined: its backward pass, two thirds of it, takes as long as
   * the communication of the first world.
   */
  computeMs?: number;
  bucketBytes: number;
  wires: readonly WireType[];
  steps: number;
  /** Rate of a shaped link between the ranks, such as `10gbit`. */
  link?: string;
  /** Of `distributed`, over its defaults. */
  settings?: Partial<TransportSettings>;
  notify(line: string): void;
}

/** One configuration, measured or predicted. */
export interface ScalingRow {
  workers: number;
  /** weak: each worker keeps its amount of work; strong: the job does. */
  scaling: 'weak' | 'strong';
  overlap: boolean;
  wire: WireType;
  computeMs: number;
  stepMs: number;
  /** Milliseconds that the step takes beyond its computation. */
  exposedMs: number;
  /** All-reduce of all gradients in their buckets, with nothing to hide behind. */
  communicationMs: number;
  /** Speed over workers times the speed of one. */
  efficiency: number;
  predicted: boolean;
}

/** All-reduce of all gradients at once. */
export interface LinkRow {
  workers: number;
  wire: WireType;
  bytes: number;
  medianMs: number;
  /** Share of the link's rate, where it is known. */
  lineRate?: number;
}

export interface ScalingResult {
  rows: ScalingRow[];
  links: LinkRow[];
  /** Model of the link, fitted to the float32 measurements. */
  fitted: LinkModel;
  parameters: number;
}

const predictedWorkers = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/** Measures steps over real workers and sockets, fits latency and bandwidth, and predicts up to 1,024 workers. */
export async function benchmarkScaling(options: ScalingOptions): Promise<ScalingResult> {
  const layers = layerSizes[options.model];
  const parameters = layers.reduce((sum, size) => sum + size, 0);
  const samples: Sample[] = [];
  const rows: ScalingRow[] = [];
  const links: LinkRow[] = [];
  let computeMs = options.computeMs;
  for (const workers of options.workers) {
    if (workers === 1) continue;
    options.notify(`${workers} workers`);
    const link = options.link === undefined ? undefined : ShapedLink.create(workers, options.link);
    try {
      const transport = link ? 'tcp' : options.transport;
      const job = await BenchmarkJob.start({ workers, transport, link, settings: options.settings });
      try {
        for (const bytes of [2_000_000, 4 * Math.ceil(parameters / 4), 4 * parameters]) {
          for (const wire of options.wires) {
            const medianMs = await timeAllReduce(job, bytes, wire);
            links.push({
              workers,
              wire,
              bytes,
              medianMs,
              ...lineRate(options.link, workers, bytes, medianMs, wire),
            });
            const sharing = Math.max(1, workers / availableParallelism());
            if (wire === 'float32') samples.push({ workers, bytes, medianMs, sharing });
          }
        }
        computeMs ??= 1.5 * (await communication(job, options, layers, 'float32'));
        for (const row of await measure(job, { ...options, computeMs }, layers, workers)) rows.push(row);
      } finally {
        await job.stop();
      }
    } finally {
      link?.close();
    }
  }
  const fitted = fitLink(samples);
  const own = computeMs ?? 0;
  const predicted = predict(fitted, { ...options, computeMs: own }, layers);
  return { rows: [...alone(own, options), ...rows, ...predicted], links, fitted, parameters };
}

async function timeAllReduce(job: BenchmarkJob, bytes: number, wire: WireType): Promise<number> {
  const iterations = bytes > 50_000_000 ? 7 : 11;
  const results = await job.run({ name: 'allReduce', bytes, iterations, warmups: 2, wire });
  return median(slowest(results.map(({ times }) => times)));
}

function lineRate(
  rate: string | undefined,
  workers: number,
  bytes: number,
  medianMs: number,
  wire: WireType,
): { lineRate?: number } {
  if (rate === undefined) return {};
  const sent = ((2 * (workers - 1)) / workers) * bytes * (wire === 'bf16' ? 0.5 : 1);
  return { lineRate: (sent * 8) / (medianMs / 1000) / bitsPerSecond(rate) };
}

type Layers = readonly number[];
type Timed = ScalingOptions & { computeMs: number };

async function run(
  job: BenchmarkJob,
  task: Pick<ScalingRow, 'computeMs' | 'overlap' | 'wire'>,
  { bucketBytes, steps }: ScalingOptions,
  layers: Layers,
) {
  const results = await job.run({ name: 'step', layers, bucketBytes, steps, warmups: 2, ...task });
  return median(slowest(results.map(({ stepMs }) => stepMs)));
}

function communication(job: BenchmarkJob, options: ScalingOptions, layers: Layers, wire: WireType) {
  return run(job, { computeMs: 0, overlap: false, wire }, options, layers);
}

async function measure(job: BenchmarkJob, options: Timed, layers: Layers, workers: number) {
  const rows: ScalingRow[] = [];
  for (const wire of options.wires) {
    const communicationMs = await communication(job, options, layers, wire);
    for (const scaling of ['weak', 'strong'] as const) {
      const computeMs = scaling === 'weak' ? options.computeMs : options.computeMs / workers;
      for (const overlap of [false, true]) {
        const measured = await run(job, { computeMs, overlap, wire }, options, layers);
        const about = { workers, scaling, overlap, wire, computeMs, communicationMs };
        rows.push(toRow(about, measured, options.computeMs, false));
      }
    }
  }
  return rows;
}

/** Row of one worker, which computes and sends nothing. */
function alone(computeMs: number, { workers }: ScalingOptions): ScalingRow[] {
  if (!workers.includes(1)) return [];
  const about = { workers: 1, overlap: false, wire: 'float32' as const, computeMs, communicationMs: 0 };
  return (['weak', 'strong'] as const).map((scaling) =>
    toRow({ ...about, scaling }, computeMs, computeMs, false),
  );
}

function predict(link: LinkModel, options: Timed, layers: Layers): ScalingRow[] {
  const bytes = layers.reduce((sum, size) => sum + size * 4, 0);
  return predictedWorkers.flatMap((workers) =>
    (['weak', 'strong'] as const).flatMap((scaling) =>
      [false, true].map((overlap) => {
        const computeMs = scaling === 'weak' ? options.computeMs : options.computeMs / workers;
        const communicationMs = allReduceMs(link, workers, bytes);
        const predicted = stepMs(link, workers, {
          layers,
          computeMs,
          bucketBytes: options.bucketBytes,
          overlap,
        });
        const about = { workers, scaling, overlap, wire: 'float32' as const, computeMs, communicationMs };
        return toRow(about, predicted, options.computeMs, true);
      }),
    ),
  );
}

function toRow(
  about: Omit<ScalingRow, 'stepMs' | 'exposedMs' | 'efficiency' | 'predicted'>,
  measuredMs: number,
  aloneMs: number,
  predicted: boolean,
): ScalingRow {
  const ideal = about.scaling === 'weak' ? aloneMs : aloneMs / about.workers;
  return {
    ...about,
    stepMs: measuredMs,
    exposedMs: Math.max(0, measuredMs - about.computeMs),
    efficiency: ideal / measuredMs,
    predicted,
  };
}
