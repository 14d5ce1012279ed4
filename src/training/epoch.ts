import { join } from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { noTracer } from '../trace/tracer.js';
import { pruneCheckpoints, saveCheckpoint } from './checkpoint.js';
import type { Classifier } from './classifier.js';
import type { EpochPart, EpochResult } from './combine.js';
import { evaluate, evaluateInDetail } from './evaluate.js';
import type { RankTimes } from './reporter.js';
import type { TrainingState } from './resume.js';
import type { TrainingStep } from './step.js';
import type { TrainOptions } from './train-options.js';
import { trainSteps } from './train-steps.js';

/** What goes from epoch to epoch. */
export interface Training {
  classifier: Classifier;
  step: TrainingStep;
  /** Of the epochs before; `trainEpoch` brings it up to date. */
  state: TrainingState;
  /** Images of classes that are not trained. */
  unknown?: Dataset;
}

/**
 * Trains one epoch, evaluates it, and writes its checkpoint where one is due: the ranks that do not write it wait under
 * the coordinator's eyes, not in a collective with a deadline. The last epoch is evaluated in full.
 * Resolves with the times of its steps.
 */
export async function trainEpoch(options: TrainOptions, training: Training): Promise<RankTimes> {
  const { config, dataset, communicator, reporter, tracer = noTracer, signal } = options;
  const { classifier, step, state, unknown } = training;
  const started = performance.now();
  const epoch = state.epochs;
  const { lossSum, times } = await trainSteps(options, step, state);
  const images = dataset.labels.train.length;
  await step.loss.state?.afterEpoch(epoch, images);
  state.epochs = epoch + 1;
  await step.optimiser.settle();

  const settings = config.evaluation;
  const evaluation = { classifier, dataset, communicator, reporter, settings, epoch, tracer, signal };
  const last = state.epochs === config.epochs;
  const detail = last ? await evaluateInDetail({ ...evaluation, unknown, trained: state.epochs }) : undefined;
  const part: EpochPart = {
    epoch,
    trainLoss: lossSum / images,
    totals: detail?.totals ?? (await evaluate(evaluation)),
    seconds: (performance.now() - started) / 1000,
    times,
  };
  const result = (await reporter.gather('epoch', part)) as EpochResult;
  if (last || state.epochs % config.checkpoint.every === 0) {
    const began = tracer.now();
    reporter.lengthy('save the checkpoint', epoch);
    await writeCheckpoint(options, training, result);
    await reporter.agree(`checkpoint of epoch ${state.epochs}`, 'saved');
    reporter.progress('go on after the checkpoint', epoch);
    tracer.span('compute', 'checkpoint', began, { epoch });
  }
  if (detail) await reporter.gather('evaluation', detail);
  return times;
}

async function writeCheckpoint(
  { config, dataset, communicator, outDir }: TrainOptions,
  { classifier, step, state }: Training,
  { totals }: EpochResult,
): Promise<void> {
  const optimiserState = await step.optimiser.gatherState();
  if (communicator.rank > 0) return;
  await saveCheckpoint(join(outDir, 'checkpoints'), {
    epochs: state.epochs,
    lossState: step.loss.state?.values ?? [],
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
