import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Dataset } from '../data/dataset.js';
import type { Config } from '../config/schema.js';
import type { EvaluationTotals } from '../evaluation/totals.js';
import type { Modules } from '../checkpoint/modules.js';
import { noTracer } from '../trace/tracer.js';
import {
  checkpointFolder,
  saveCheckpoint,
  saveEvaluation,
  type Checkpoint,
} from '../checkpoint/checkpoint.js';
import { pruneCheckpoints, writingTo } from '../checkpoint/checkpoints.js';
import type { Classifier } from '../classifier/classifier.js';
import type { EpochPart } from '../record/reported.js';
import { evaluate, evaluateInDetail } from '../evaluation/evaluate.js';
import type { Inspection } from './inspect-images.js';
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
  /** The user's own modules. */
  modules: Modules;
}

/**
 * Trains one epoch, writes a checkpoint if one is due, and evaluates the epoch, in full if it is the last. The ranks that
 * do not write the checkpoint wait for the coordinator, not in a collective with a deadline.
 * Resolves with the times of its steps.
 */
export async function trainEpoch(options: TrainOptions, training: Training): Promise<RankTimes> {
  const { config, dataset, reporter, tracer = noTracer } = options;
  const { step, state, inspection } = training;
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

  const due = state.epochs === config.epochs || state.epochs % config.checkpoint.every === 0;
  if ((await inspection.foundBroken()) || due) {
    const began = tracer.now();
    reporter.lengthy('save the checkpoint', epoch);
    await writeCheckpoint(options, training, { trainLoss, seconds });
    await reporter.agree(`checkpoint of epoch ${state.epochs}`, 'saved');
    reporter.progress('continue after the checkpoint', epoch);
    tracer.span('compute', 'checkpoint', began, { epoch });
  }
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
  { classifier, state, unknown }: Training,
  times?: RankTimes,
): Promise<void> {
  const { config, dataset, communicator, reporter, tracer, signal, outDir } = options;
  const started = performance.now();
  const epoch = state.epochs - 1;
  const { trainLoss, seconds } = state.unevaluated ?? { trainLoss: 0, seconds: 0 };
  const settings = config.evaluation;
  const evaluation = { classifier, dataset, communicator, reporter, settings, epoch, tracer, signal };
  const last = state.epochs >= config.epochs;
  const detail = last ? await evaluateInDetail({ ...evaluation, unknown, trained: state.epochs }) : undefined;
  const totals = detail?.totals ?? (await evaluate(evaluation));
  const part: EpochPart = {
    epoch,
    trainLoss,
    totals,
    seconds: seconds + (performance.now() - started) / 1000,
    ...(times ? { times } : {}),
  };
  const result = await reporter.gather('epoch', part);
  if (communicator.rank === 0) await addEvaluation(outDir, state.epochs, result.totals, config);
  if (detail) await reporter.gather('evaluation', detail);
  state.unevaluated = undefined;
}

async function addEvaluation(
  outDir: string,
  epochs: number,
  totals: EvaluationTotals,
  { checkpoint }: Config,
): Promise<void> {
  const folder = checkpointFolder(join(outDir, 'checkpoints'), epochs);
  if (!existsSync(folder)) return;
  await writingTo(outDir, `the evaluation of epoch ${epochs}`, () => saveEvaluation(folder, totals));
  await pruneCheckpoints(outDir, checkpoint);
}

async function writeCheckpoint(
  { config, dataset, communicator, reporter, outDir }: TrainOptions,
  { classifier, step, state, modules }: Training,
  epoch: { trainLoss: number; seconds: number },
): Promise<void> {
  const optimiserState = await step.optimiser.gatherState();
  if (communicator.rank > 0) return;
  const { name, labels } = dataset;
  const fingerprint = await dataset.fingerprint();
  const checkpoint: Checkpoint = {
    epochs: state.epochs,
    lossState: step.loss.state?.values ?? [],
    seed: config.seed,
    worldSize: communicator.worldSize,
    classNames: dataset.classNames,
    shape: dataset.shape,
    data: { name, images: labels.train.length, fingerprint },
    centroidsSha256: classifier.centroidsSha256,
    config,
    epoch,
    slots: classifier.parameters.slots,
    weights: classifier.weights,
    updates: step.optimiser.updates,
    state: optimiserState,
    moving: classifier.batchNorm.flatten(),
    ...modules,
  };
  const what = `the checkpoint of epoch ${state.epochs}`;
  await writingTo(outDir, what, () => saveCheckpoint(join(outDir, 'checkpoints'), checkpoint));
  reporter.record({ kind: 'checkpoint', epochs: state.epochs });
}
