import { initBackend } from '../src/backend/index.js';
import { LocalCommunicator } from '../src/collective/local-communicator.js';
import type { Config } from '../src/config/schema.js';
import { openDataset } from '../src/data/index.js';
import { globalBatches } from '../src/data/sampler.js';
import { Classifier } from '../src/training/classifier.js';
import { TrainingStep } from '../src/training/step.js';

/** One pass over training images. */
export interface LoaderRow {
  pass: 'decode and augment' | 'augment, pixels cached' | 'training';
  images: number;
  batch: number;
  threads: number;
  seconds: number;
  imagesPerSecond: number;
  /** Share of the time spent waiting for a batch. */
  waiting: number;
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

/**
 * Reads a data set as training does: once decoding every image, once from cached pixels, and where asked a third time
 * with training steps between the batches.
 */
export async function benchmarkLoader(benchmark: LoaderBenchmark): Promise<LoaderRow[]> {
  const { config, threads, train, notify } = benchmark;
  const dataset = await openDataset(config.data, { seed: config.seed, threads });
  try {
    const count = Math.min(benchmark.images, dataset.labels.train.length);
    const all = globalBatches(count, config.batchSize, config.seed, 0);
    const pass = async (
      name: LoaderRow['pass'],
      epoch: number,
      use: Use = async () => {},
    ): Promise<LoaderRow> => {
      notify(`${name}: ${count} images`);
      const { images, seconds, waited } = await readPass(
        dataset.read({ split: 'train', batches: all, epoch }),
        use,
      );
      const row = { pass: name, images, batch: config.batchSize, threads, seconds };
      return { ...row, imagesPerSecond: images / seconds, waiting: waited / seconds };
    };
    const rows = [await pass('decode and augment', 0), await pass('augment, pixels cached', 1)];
    if (train) {
      await initBackend(config.backend);
      const communicator = new LocalCommunicator();
      const classes = dataset.classNames.length;
      const classifier = await Classifier.create({ config, shape: dataset.shape, classes, communicator });
      const step = await TrainingStep.create(classifier, communicator, config);
      rows.push(
        await pass('training', 2, async (batch) => {
          await step.run({ batch, counts: [batch.count], delta: 0.05, rate: 0.01 });
        }),
      );
      step.dispose();
    }
    return rows;
  } finally {
    await dataset.close();
  }
}

type Batches = ReturnType<Awaited<ReturnType<typeof openDataset>>['read']>;
type Use = (batch: Batches extends AsyncIterable<infer T> ? T : never) => Promise<void>;

/** Counts from the second batch on: the first one waits for the threads to start. */
async function readPass(batches: Batches, use: Use) {
  let images = 0;
  let waited = 0;
  let started = 0;
  let asked = 0;
  for await (const batch of batches) {
    const now = performance.now();
    if (started === 0) started = now;
    else {
      waited += now - asked;
      images += batch.count;
    }
    await use(batch);
    asked = performance.now();
  }
  return { images, seconds: (performance.now() - started) / 1000, waited: waited / 1000 };
}
