import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initBackend } from '../backend/index.js';
import { LocalCommunicator } from '../collective/local-communicator.js';
import type { Config, DataConfig } from '../config/schema.js';
import { openDataset, type Batch, type Dataset } from '../data/index.js';
import type { PixelOrigins } from '../data/pixels/pixel-source.js';
import { globalBatches } from '../data/sampler.js';
import { readTraining } from '../data/training-batches.js';
import { Classifier } from '../classifier/classifier.js';
import { TrainingStep } from '../training/step.js';

/** One pass over training images. */
export interface LoaderRow {
  /** The part of a run that the pass stands for; `no cache`: none. */
  pass: 'no cache' | 'first epoch' | 'second epoch' | 'second run';
  /** Whether training steps run between the batches. */
  training: boolean;
  images: number;
  batch: number;
  threads: number;
  /** Seconds from the first batch on, for which threads start. */
  seconds: number;
  imagesPerSecond: number;
  /** Share of `seconds` spent waiting for a batch. */
  waiting: number;
  firstBatchSeconds: number;
  /** Origins of the pixels; undefined where nothing is decoded. */
  origins?: PixelOrigins;
}

export interface LoaderBenchmark {
  config: Config;
  threads: number;
  /** Training images of a pass, at most. */
  images: number;
  /** Also train on them, to see how long a step waits for its batch. */
  train: boolean;
  notify(line: string): void;
}

type Use = (batch: Batch) => Promise<void>;

/**
 * Reads a data set as training does: without any cache, then as the first and the second epoch of a run and as the
 * first epoch of the next run, with a disk cache of its own that begins empty; where asked once more with training
 * steps between the batches. A data set that is in memory is read once.
 */
export async function benchmarkLoader(benchmark: LoaderBenchmark): Promise<LoaderRow[]> {
  const rows = await passes(benchmark, false, async () => {});
  if (!benchmark.train) return rows;
  const { config } = benchmark;
  await initBackend(config.backend);
  const dataset = await openDataset(config.data, { seed: config.seed, notify: () => {} });
  await dataset.close();
  const communicator = new LocalCommunicator();
  const classes = dataset.classNames.length;
  const classifier = await Classifier.create({ config, shape: dataset.shape, classes, communicator });
  const step = await TrainingStep.create(classifier, communicator, config);
  const use: Use = async (batch) => {
    await step.run({ batch, counts: [batch.count], rate: 0.01 });
  };
  const training = await passes(benchmark, true, use);
  step.dispose();
  return [...rows, ...training];
}

async function passes(benchmark: LoaderBenchmark, training: boolean, use: Use): Promise<LoaderRow[]> {
  const { data } = benchmark.config;
  const rows: LoaderRow[] = [];
  const run = async (settings: DataConfig, ...names: LoaderRow['pass'][]) => {
    const { config, threads, notify } = benchmark;
    const dataset = await openDataset(settings, { seed: config.seed, threads, notify });
    try {
      for (const [epoch, pass] of names.entries()) {
        notify(`${pass}${training ? ', training' : ''}`);
        rows.push({ pass, training, ...(await readPass(dataset, epoch, benchmark, use)) });
      }
    } finally {
      await dataset.close();
    }
  };
  if (!('cache' in data)) {
    await run(data, 'no cache');
    return rows;
  }
  const folder = await mkdtemp(join(tmpdir(), 'pod-dist-loader-'));
  try {
    const without = { ...data, cache: { memoryMegabytes: 0, diskMegabytes: 0 } };
    const kept = { ...data, cache: { ...data.cache, folder } };
    if (!training) await run(without, 'no cache');
    await run(kept, 'first epoch', 'second epoch');
    await run(kept, 'second run');
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readPass(dataset: Dataset, epoch: number, benchmark: LoaderBenchmark, use: Use) {
  const { config, threads } = benchmark;
  const count = Math.min(benchmark.images, dataset.labels.train.length);
  const batches = globalBatches(count, config.batchSize, config.seed, epoch);
  const before = dataset.origins;
  let images = 0;
  let waited = 0;
  let asked = performance.now();
  let started = 0;
  let firstBatchSeconds = 0;
  const { seed, data } = config;
  const read = { global: batches, rank: 0, worldSize: 1, epoch, seed, augment: data.augment };
  for await (const batch of readTraining(dataset, read)) {
    const now = performance.now();
    if (started === 0) {
      started = now;
      firstBatchSeconds = (now - asked) / 1000;
    } else waited += now - asked;
    images += batch.count;
    await use(batch);
    asked = performance.now();
  }
  const seconds = (performance.now() - started) / 1000;
  return {
    images,
    batch: config.batchSize,
    threads,
    seconds,
    imagesPerSecond: (images - batches[0].length) / seconds,
    waiting: waited / 1000 / seconds,
    firstBatchSeconds,
    origins: before && dataset.origins && difference(dataset.origins, before),
  };
}

function difference(after: PixelOrigins, before: PixelOrigins): PixelOrigins {
  return {
    decoded: after.decoded - before.decoded,
    disk: after.disk - before.disk,
    memory: after.memory - before.memory,
  };
}
