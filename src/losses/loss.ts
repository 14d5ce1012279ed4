import type * as tf from '../tf/index.js';
import type { z } from 'zod';
import type { Communicator } from '../collective/communicator.js';
import { pairwise } from '../collective/pairwise.js';
import type { Outcome } from '../backend/host-values.js';
import type { Kind } from '../util/registry.js';

/** Classes of the images that those of a shard are mixed with. */
export interface MixedLabels {
  labels: Int32Array;
  /** Weight of the own class of each image; the rest is that of the other. */
  share: number;
}

/** One rank's rows of the global batch. */
export interface Shard {
  /** Classes of this rank's images; empty where it holds none. */
  labels: Int32Array;
  /** Images of every rank, by rank. */
  counts: readonly number[];
  /** Rows [start, end) of each virtual worker of this rank; default: there is one. */
  rows?: readonly { start: number; end: number }[];
  /** Where images are mixed (`LossKind.mixed`): the classes of the others, and how much the own ones weigh. */
  mixed?: MixedLabels;
}

/** The fixed directions that features are pulled to. */
export interface Targets {
  classes: number;
  dim: number;
  /** The centroid of each label, [labels, d], unit rows. */
  own(labels: Int32Array): tf.Tensor2D;
  /** Centroids [start, end), [end - start, d], row-major. */
  block(start: number, end: number): Float32Array;
  /** Orthonormal bases that are whole among the centroids: the first `wholeBases * dim` rows. */
  wholeBases: number;
}

/** Context that a loss is created with: the ranks, and the directions of the classes. */
export interface LossContext {
  communicator: Communicator;
  targets: Targets;
  /** Training images of each class, where a loss is created to train. */
  images?: readonly number[];
}

/** The loss of one global batch; equal on every rank. */
export interface LossValues {
  loss: number;
  /** The terms of the loss by name, as the run record shows them. */
  parts: Readonly<Record<string, number>>;
}

/** Result of a loss for one global batch. */
export interface Computed {
  /** Read once, after the pass, by every rank: what it has to sum over the ranks for it, it sums then. */
  values: Outcome<LossValues>;
  /** Gradients with respect to `features`, [b, d], then to each of the class weights. */
  gradients: tf.Tensor[];
}

/** State that a loss keeps from step to step, besides class weights. */
export interface LossState {
  /** Numbers that are equal on all ranks; their count is the same after every step. */
  values: readonly number[];
  /** Sums over the images of the epoch under way, one for each virtual worker of this rank; empty: none so far. */
  sums: readonly number[];
  /** The values that the record of a step shows, by name. */
  readonly shown: Readonly<Record<string, number>>;
  /** Called by every rank after the last step of epoch `epoch` (from 0), which had `images` images over all ranks. */
  afterEpoch(epoch: number, images: number): Promise<void>;
}

/** A loss of the batch over all ranks. */
export interface Loss {
  /**
   * The loss of the global batch, and this rank's gradients of it: summed over the ranks, gradients of parameters are the
   * gradient of the global loss.
   *
   * `features` is [b, d], with b = max(images on this rank, 1): a rank without images passes one placeholder row, which
   * counts for nothing. Sums over rows are made virtual worker by virtual worker, then in pairs.
   */
  compute(features: tf.Tensor2D, classWeights: readonly tf.Tensor[], shard: Shard): Computed;
  readonly state?: LossState;
  /** Frees the tensors that it holds. */
  dispose?(): void;
}

/** A kind of loss: its name, its settings and how to create it. */
export interface LossKind<Schema extends z.ZodObject = z.ZodObject> extends Kind<Schema> {
  /**
   * Class weights that are trained with the backbone: rows [k, d], a bias [k], and centers [k, d]. None: fixed centroids are
   * the targets.
   */
  classWeights?: { bias: boolean; centers?: boolean };
  /** The setting, if any, that makes the result depend on the number of workers, and what to choose instead. */
  workersMatter?(config: z.output<Schema>): { setting: string; advice: string } | undefined;
  /**
   * Whether its steps may run as graphs: what `compute` does changes from step to step only by labels, `targets.own`,
   * and what `fromHost` and `onHost` give. Default: they may not.
   */
  graphs?: boolean;
  /**
   * Whether `compute` heeds `Shard.mixed`, as `meanOverImages` does: the loss of images of two classes is the sum of two
   * losses by their weights. Default: MixUp and CutMix are refused.
   */
  mixed?: boolean;
  /** The loss with these settings. Every rank calls it. */
  create(config: z.output<Schema>, context: LossContext): Loss;
}

/** Keeps the type of a loss's configuration from its schema to `create`. */
export function defineLoss<Schema extends z.ZodObject>(kind: LossKind<Schema>): LossKind<Schema> {
  return kind;
}

/** Images of all ranks. */
export function batchOf({ counts }: Shard): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Sums over all ranks. Each list holds one number a virtual worker of this rank, undefined for an empty one. */
export function summed(communicator: Communicator, ...lists: (readonly (number | undefined)[])[]): number[] {
  const own = lists.map((shards) => pairwise(shards, (a, b) => a + b) ?? 0);
  const sums = Float64Array.from(own);
  communicator.allReduceSync(sums, { tag: 'loss' });
  return [...sums];
}
