import { stepsPerEpoch } from '../data/sampler.js';
import type { EpochRecord, StepRecord } from '../record/records.js';
import type { LoggedRun } from './sink.js';

/** A name, in groups, and its value. */
export type Scalar = readonly [name: string, value: number];

const notOfLoss = new Set(['kind', 'epoch', 'step', 'loss', 'lr', 'samplesPerSecond', 'exposedMs']);

/** Number of images of a step. */
export function imagesOf({ epoch, step }: Pick<StepRecord, 'epoch' | 'step'>, run: LoggedRun): number {
  const { config, images } = run;
  const before = (step - epoch * stepsPerEpoch(images, config)) * config.batchSize * config.accumulate;
  return Math.max(0, Math.min(config.batchSize * config.accumulate, images - before));
}

/** Seconds that a step has taken. */
export function secondsOf(record: StepRecord, run: LoggedRun): number {
  return record.samplesPerSecond > 0 ? imagesOf(record, run) / record.samplesPerSecond : 0;
}

/** Curves of a run over its steps. */
export function scalarsOfStep(record: StepRecord, run: LoggedRun): Scalar[] {
  const { loss, lr, samplesPerSecond, exposedMs } = record;
  const parts = Object.entries(record).filter(([name]) => !notOfLoss.has(name));
  const seconds = secondsOf(record, run);
  return finite([
    ['loss/total', loss],
    ...parts.map(([name, value]) => [`loss/${name}`, Number(value)] as const),
    ['train/learning_rate', lr],
    ['speed/images_per_second', samplesPerSecond],
    ['speed/waiting_share', exposedMs === undefined || seconds === 0 ? NaN : exposedMs / 1000 / seconds],
  ]);
}

/** Curves of a run over its epochs. */
export function scalarsOfEpoch(record: EpochRecord): Scalar[] {
  return finite([
    ['epoch/train_loss', record.trainLoss],
    ['epoch/accuracy', record.evalAccuracy],
    ['epoch/mean_cosine', record.meanCosine],
    ['epoch/seconds', record.seconds],
    ['epoch/waiting_share', record.exposedShare ?? NaN],
  ]);
}

function finite(scalars: readonly Scalar[]): Scalar[] {
  return scalars.filter(([, value]) => Number.isFinite(value));
}
