import type { Config } from '../config/schema.js';
import type { Dataset } from '../data/dataset.js';
import type { Classifier } from '../classifier/classifier.js';
import type { EpochPart } from '../record/reported.js';
import { isStopped, judgeEpoch } from './early-stop.js';
import { evaluate, evaluateInDetail } from '../evaluation/evaluate.js';
import type { Inspection } from './inspect-images.js';
import type { Lookout } from './lookout.js';
import type { Saver } from './saver.js';
import type { RankTimes } from '../record/records.js';
import type { Trained } from './snapshot.js';
import type { TrainingState } from './state.js';
import type { TrainingStep } from './step.js';
import type { TrainOptions } from './train-options.js';
import { trainSteps } from './train-steps.js';

/** Everything that is kept from epoch to epoch. */
export interface Training {
  classifier: Classifier;
  step: TrainingStep;
  /** State after the epochs so far; `trainEpoch` updates it. */
  state: TrainingState;
  /** What a snapshot is taken of. */
  trained: Trained;
  /** Images of classes that are not trained. */
  unknown?: Dataset;
  /** The images that evaluations will read. */
  inspection: Inspection;
  /** Decides on checkpoints, and writes them. */
  lookout: Lookout;
  saver: Saver;
}

/**
 * Trains one epoch, begins to write a checkpoint if one is due, and evaluates the epoch, in full if it is the last.
 * Resolves with the times of its steps.
 */
export async function trainEpoch(options: TrainOptions, training: Training): Promise<RankTimes> {
  const { dataset } = options;
  const { step, state, inspection, lookout } = training;
  const started = performance.now();
  const epoch = state.epochs;
  const times = await trainSteps(options, training);
  const images = dataset.labels.train.length;
  const trainLoss = state.lossSum / images;
  await step.loss.state?.afterEpoch(epoch, images);
  await step.optimiser.settle();
  const seconds = (performance.now() - started) / 1000;
  Object.assign(state, { epochs: epoch + 1, steps: 0, lossSum: 0, unevaluated: { trainLoss, seconds } });
  await options.recovery?.snapshots.take(training.trained, state);

  await lookout.afterEpoch(state, await inspection.foundBroken());
  inspection.throwIfBroken();
  await evaluateEpoch(options, training, times);
  await options.recovery?.snapshots.take(training.trained, state);
  return times;
}

/**
 * Evaluates the epoch that `state` has come to, in full if it is the last, and adds the result to its checkpoint.
 * `times` are those of its steps, where this process has made them.
 */
export async function evaluateEpoch(
  options: TrainOptions,
  { classifier, step, state, unknown, saver }: Training,
  times?: RankTimes,
): Promise<void> {
  const { config, dataset, communicator, reporter, tracer, signal } = options;
  const started = performance.now();
  const epoch = state.epochs - 1;
  const { trainLoss, seconds } = state.unevaluated ?? { trainLoss: 0, seconds: 0 };
  const settings = config.evaluation;
  const evaluation = { classifier, dataset, communicator, reporter, settings, epoch, tracer, signal };
  const last = state.epochs >= config.epochs;
  const average = settings.weights === 'average' ? await step.optimiser.state.gatherAverage() : undefined;
  const keepFeatures = config.log.includes('tensorboard');
  const see = <T>(work: () => Promise<T>) => (average ? classifier.withAverage(average, work) : work());
  const inDetail = () =>
    see(() => evaluateInDetail({ ...evaluation, unknown, trained: state.epochs, keepFeatures }));
  let detail = last ? await inDetail() : undefined;
  const totals = detail?.totals ?? (await see(() => evaluate(evaluation)));
  const part: EpochPart = {
    epoch,
    trainLoss,
    totals,
    seconds: seconds + (performance.now() - started) / 1000,
    ...(times ? { times } : {}),
  };
  reporter.lengthy('save the checkpoint', epoch);
  await saver.written();
  const result = await reporter.gather('epoch', part);
  reporter.progress('continue after the evaluation', epoch);
  const stopping = judgeEpoch(state.stopping, result.record, config.stop);
  if (!last && isStopped(stopping, config.stop)) {
    if (communicator.rank === 0)
      reporter.record({ kind: 'notice', message: describeStop(config, state.epochs) });
    detail = await inDetail();
    await saver.saveLast(state);
  }
  if (communicator.rank === 0) saver.addEvaluation(state.epochs, result.totals);
  if (detail) await reporter.gather('evaluation', detail);
  state.unevaluated = undefined;
  if (stopping) state.stopping = stopping;
}

function describeStop({ stop, epochs }: Config, made: number): string {
  const { metric, patience } = stop;
  return `no better ${metric} in ${patience} epochs: the run ends after epoch ${made} of ${epochs}`;
}
