import type { Config } from '../config/schema.js';
import type { EvaluationTotals } from '../evaluation/totals.js';
import type { Slot } from '../parallel/parameters.js';
import type { OptimiserState } from '../parallel/sharded-state.js';
import type { CentroidLayout } from '../pedcc/layout.js';
import type { OwnArray } from './layout.js';
import type { Stopping } from './manifest.js';
import type { Modules } from './modules.js';

/** How far a training has come in the middle of an epoch. */
export interface WithinEpoch {
  /** Steps made of the epoch. */
  steps: number;
  /** Steps of the whole run so far. */
  step: number;
  /** Sum of the losses of all images of the epoch's steps. */
  lossSum: number;
  /** Sums that the loss keeps of the epoch, of each rank: one for each of its virtual workers. */
  lossSums: readonly (readonly number[])[];
}

/** Everything that training needs to go on. */
export interface Checkpoint extends Modules {
  /** Epochs trained so far. */
  epochs: number;
  /** Undefined at the end of an epoch. */
  within?: WithinEpoch;
  /** The state that the loss keeps for the next epoch. */
  lossState: readonly number[];
  seed: number;
  worldSize: number;
  classNames: readonly string[];
  /** [height, width, channels] of an image. */
  shape: readonly [number, number, number];
  /** The data set that it was trained on; `images` counts those of training. */
  data?: { name: string; images: number; fingerprint: string };
  centroidsSha256?: string;
  /** Undefined where the classes have as many centroids as there are, in order. */
  centroids?: CentroidLayout;
  config: Config;
  /** Results of the last epoch. */
  epoch?: { trainLoss: number; seconds: number };
  /** What decides on an early end, before that evaluation; undefined where nothing does. */
  stopping?: Stopping;
  /** Evaluation after the last epoch; undefined where the job has ended before it. */
  evaluation?: EvaluationTotals;
  slots: readonly Slot[];
  /** Trainable weights, flat, in the order of `slots`. */
  weights: Float32Array;
  /** Updates of the weights so far. */
  updates: number;
  /** The optimiser's arrays, and what bf16 on the wire has kept back, by name; one number a weight in each. */
  state: OptimiserState;
  /** Moving statistics of the batch-norm layers, flat. */
  moving: Float32Array;
  /**
   * What each rank has of its own, by rank: what bf16 on the wire has kept back in the middle of an epoch, and moving
   * statistics that are not synchronised.
   */
  own?: Partial<Record<OwnArray['name'], readonly Float32Array[]>>;
}

/** The name of a checkpoint's folder, within the folder of a run's checkpoints. */
export function checkpointName({ epochs, within }: Pick<Checkpoint, 'epochs' | 'within'>): string {
  return within ? `step-${String(within.step).padStart(8, '0')}` : `epoch-${String(epochs).padStart(4, '0')}`;
}

const namePattern = /^(epoch|step)-(\d+)$/;

/** Whether a name is that of a checkpoint's folder. */
export function isCheckpoint(name: string): boolean {
  return namePattern.test(name);
}

/** Place of a checkpoint in its run, from its name and the first bytes of its manifest. */
export function placeInRun(name: string, head: string): { epochs: number; steps: number } {
  const [, kind, number] = namePattern.exec(name) ?? [];
  if (kind === 'epoch') return { epochs: Number(number), steps: 0 };
  const [, epochs, steps] =
    /^\{\s*"format": \d+,\s*"epochs": (\d+),\s*"within": \{\s*"steps": (\d+),/.exec(head) ?? [];
  return steps === undefined
    ? { epochs: Infinity, steps: Number(number) }
    : { epochs: Number(epochs), steps: Number(steps) };
}
