import type { Backend } from '../backend/index.js';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Dataset } from '../data/dataset.js';
import type { Tracer } from '../trace/tracer.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Contributions } from './contributions.js';
import type { Start } from './recovery-point.js';
import type { Snapshots } from './snapshots.js';
import type { Reporter } from '../record/reporter.js';

/** Objects that one training of a process leaves for the next. */
export interface Reuse {
  /** Images of classes that are not trained, once they are opened. */
  unknown?: Dataset;
  /** Shares of the images of evaluations that have been found whole, by rank and number of ranks. */
  readonly inspected: Set<string>;
}

/** Options for the training of one rank. */
export interface TrainOptions {
  config: Config;
  dataset: Dataset;
  communicator: Communicator;
  reporter: Reporter;
  backend: Backend;
  /** Run folder; rank 0 writes its `checkpoints/`. */
  outDir: string;
  /** Checkpoint to go on from; only rank 0's counts. */
  resume?: Checkpoint;
  /** Takes snapshots from which the ranks go on after the loss of one, compares steps that are made again; where to go on. */
  recovery?: { snapshots: Snapshots; contributions: Contributions; generation: number; start?: Start };
  /** State that a process keeps to train again after the loss of another rank; the caller closes it. */
  reuse?: Reuse;
  /** Records what the compute thread does; default: no tracing. */
  tracer?: Tracer;
  /** Steps whose result is thrown away: the rate of each, and whether the one with this loss was the last. */
  trial?: { rateOf(step: number): number | undefined; ended(loss: number): boolean };
  /** Stops a job of one rank between two batches. */
  signal?: AbortSignal;
  /** Asks, on any rank, for the end after the step under way, with a checkpoint; its reason is an `EndCause`. */
  ending?: AbortSignal;
}
