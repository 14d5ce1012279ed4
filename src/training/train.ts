import { join } from 'node:path';
import type { Backend } from '../backend/index.js';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Dataset } from '../data/dataset.js';
import { globalBatches, rankSlice, stepsPerEpoch } from '../data/sampler.js';
import { nextDelta } from '../loss/index.js';
import { noTracer, type Tracer } from '../trace/tracer.js';
import { shardRange } from '../collective/communicator.js';
import { pruneCheckpoints, saveCheckpoint, type Checkpoint } from './checkpoint.js';
import { Classifier } from './classifier.js';
import type { EpochPart, EpochResult, FinishPart } from './combine.js';
import { openUnknown } from '../data/index.js';
import { collectGarbageRarely } from './garbage.js';
import { addTimes, EpochTimes } from './epoch-times.js';
import { evaluate, evaluateInDetail } from './evaluate.js';
import type { RankTimes, Reporter } from './reporter.js';
import { shareState, type TrainingState } from './resume.js';
import { MeanLoss } from './mean-loss.js';
import type { Report } from './run-record.js';
import { learningRate } from './schedule.js';
import { TrainingStep } from './step.js';
import { loaderSpans, phaseSpans } from './trace-spans.js';

export interface TrainOptions {
  config: Config;
  dataset: Dataset;
  communicator: Communicator;
  reporter: Reporter;
  backend: Backend;
  /** Run folder; rank 0 writes its `checkpoints/`. */
  outDir: string;
  /** Where to go on from; only rank 0's counts. */
  resume?: Checkpoint;
  /** Told what the compute thread does; default: nobody is. */
  tracer?: Tracer;
}

/** With what is opened for the run. */
type RunOptions = TrainOptions & { unknown?: Dataset };

/**
 * Trains a classifier; every rank of the job calls it with the same configuration.
 *
 * Resolves with the run's report once every rank has finished with equal weights.
 */
export async function train(options: TrainOptions): Promise<Report> {
  collectGarbageRarely();
  const unknown = await openUnknown(options.config, options.dataset);
  try {
    return await run({ ...options, unknown });
  } finally {
    await unknown?.close();
  }
}

async function run(options: RunOptions): Promise<Report> {
  const { config, dataset, unknown, communicator, reporter, backend } = options;
  const started = performance.now();
  const classifier = await Classifier.create({
    config,
    shape: dataset.shape,
    classes: dataset.classNames.length,
    communicator,
  });
  await reporter.agree('data set', dataset.fingerprint);
  if (unknown) await reporter.agree('unknown images', unknown.fingerprint);
  await reporter.agree('centroids', classifier.centroidsSha256);
  const step = await TrainingStep.create(classifier, communicator, config, {
    gpu: backend.gpu,
    tracer: options.tracer,
  });
  const state = await shareState({
    classifier,
    optimiser: step.optimiser,
    communicator,
    resume: options.resume,
    config,
  });

  let times: RankTimes = { images: 0, seconds: 0, loaderSeconds: 0, exposedSeconds: 0 };
  for (let epoch = state.epochs; epoch < config.epochs; epoch++) {
    times = addTimes(times, await trainEpoch(options, classifier, step, state));
  }
  step.dispose();

  await reporter.agree('weights', classifier.weightsSha256());
  const part: FinishPart = {
    backend: backend.name,
    device: backend.device,
    parameters: classifier.parameters.length,
    epochs: config.epochs,
    times,
    centroidsSha256: classifier.centroidsSha256,
    weightsSha256: classifier.weightsSha256(),
    seconds: (performance.now() - started) / 1000,
  };
  return (await reporter.gather('finish', part)) as Report;
}

/** Trains and evaluates one epoch; resolves with the times of its training. */
async function trainEpoch(
  options: RunOptions,
  classifier: Classifier,
  step: TrainingStep,
  state: TrainingState,
): Promise<RankTimes> {
  const { config, dataset, unknown, communicator, reporter, tracer = noTracer } = options;
  const { rank, worldSize } = communicator;
  const epoch = state.epochs;
  const started = performance.now();
  const batches = globalBatches(dataset.labels.train.length, config.batchSize, config.seed, epoch);
  const slices = batches.map((batch) => rankSlice(batch, rank, worldSize));

  const steps = stepsPerEpoch(dataset.labels.train.length, config);
  const sums = { loss: 0, norm: 0 };
  let index = 0;
  let mean = new MeanLoss();
  let last = performance.now();
  let waited = communicator.waitedMs;
  const clock = new EpochTimes(communicator);
  const read = loaderSpans(dataset.read({ split: 'train', batches: slices, epoch }), tracer);
  for await (const batch of clock.loading(read)) {
    const began = tracer.now();
    const size = batches[index].length;
    const stepOfEpoch = Math.floor(index / config.accumulate);
    const first = stepOfEpoch * config.accumulate;
    const micro = { index: index - first, count: Math.min(config.accumulate, batches.length - first) };
    const globalStep = epoch * steps + stepOfEpoch;
    const rate = learningRate(config.learningRate, {
      epoch,
      step: globalStep,
      totalSteps: config.epochs * steps,
      stepsPerEpoch: steps,
      workers: worldSize,
    });
    const counts = shardCounts(size, worldSize);
    const onPhase = phaseSpans(tracer);
    const values = await step.run({ batch, counts, delta: state.delta, rate, micro, onPhase });
    tracer.span('compute', 'step', began, { epoch, step: globalStep });
    sums.loss += values.loss * size;
    sums.norm += values.normSum;
    mean.add(values, size, micro.count);
    reporter.progress('train', epoch, index);
    index++;
    if (micro.index < micro.count - 1) continue;

    const now = performance.now();
    const seconds = (now - last) / 1000;
    last = now;
    const exposedMs = communicator.waitedMs - waited;
    waited = communicator.waitedMs;
    if (rank === 0) {
      reporter.record({
        kind: 'step',
        epoch,
        step: globalStep,
        loss: mean.loss,
        ...mean.parts,
        delta: state.delta,
        lr: rate,
        samplesPerSecond: mean.images / seconds,
        ...(worldSize > 1 ? { exposedMs } : {}),
      });
    }
    mean = new MeanLoss();
  }

  await step.complete();
  const times = clock.end();
  const images = dataset.labels.train.length;
  state.delta = await deltaAfter(options, epoch, sums.norm, images);
  state.epochs = epoch + 1;
  await step.optimiser.settle();
  const evaluation = {
    classifier,
    dataset,
    communicator,
    reporter,
    settings: config.evaluation,
    epoch,
    tracer,
  };
  const detail =
    state.epochs === config.epochs
      ? await evaluateInDetail({ ...evaluation, unknown, trained: state.epochs })
      : undefined;
  const totals = detail?.totals ?? (await evaluate(evaluation));
  const part: EpochPart = {
    epoch,
    trainLoss: sums.loss / images,
    seconds: (performance.now() - started) / 1000,
    totals,
    times,
  };
  const result = (await reporter.gather('epoch', part)) as EpochResult;
  const due = state.epochs % config.checkpoint.every === 0 || state.epochs === config.epochs;
  if (due) {
    const began = tracer.now();
    await writeCheckpoint(options, classifier, step, state, result);
    tracer.span('compute', 'checkpoint', began, { epoch });
  }
  if (detail) await reporter.gather('evaluation', detail);
  return times;
}

async function deltaAfter(
  { config, communicator }: TrainOptions,
  epoch: number,
  normSum: number,
  images: number,
): Promise<number> {
  if (config.loss.name !== 'pod') return 0;
  const { schedule, initial, scale } = config.loss.delta;
  if (schedule === 'fixed') return initial;
  const sum = Float64Array.of(normSum);
  await communicator.allReduce(sum, { tag: 'delta' });
  return nextDelta({ epoch, meanNorm: sum[0] / images, scale });
}

async function writeCheckpoint(
  { config, dataset, communicator, outDir }: TrainOptions,
  classifier: Classifier,
  step: TrainingStep,
  state: TrainingState,
  { totals }: EpochResult,
): Promise<void> {
  const optimiserState = await step.optimiser.gatherState();
  if (communicator.rank > 0) return;
  await saveCheckpoint(join(outDir, 'checkpoints'), {
    epochs: state.epochs,
    delta: state.delta,
    seed: config.seed,
    worldSize: communicator.worldSize,
    classNames: dataset.classNames,
    shape: dataset.shape,
    config,
    evaluation: totals,
    slots: classifier.parameters.slots,
    weights: classifier.weights,
    updates: step.optimiser.updates,
    state: optimiserState,
    moving: classifier.batchNorm.flatten(),
  });
  await pruneCheckpoints(outDir, config.checkpoint.keep);
}

function shardCounts(size: number, worldSize: number): number[] {
  return Array.from({ length: worldSize }, (_, rank) => {
    const [start, end] = shardRange(size, rank, worldSize);
    return end - start;
  });
}
