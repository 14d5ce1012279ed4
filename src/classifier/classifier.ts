import * as tf from '../tf/index.js';
import type { Capture } from '../backend/capture.js';
import { fromHost } from '../backend/host-values.js';
import { inPrecision, type Precision } from '../backend/precision.js';
import { running } from '../backend/running.js';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Batch } from '../data/dataset.js';
import { classVariables, createClassWeights, lossOf, type ClassWeights } from '../losses/index.js';
import { Dropout } from '../models/dropout.js';
import { ForwardPass } from '../models/forward.js';
import { buildModel } from '../models/index.js';
import { join, type Parts } from '../models/parts.js';
import type { WeightsChoice } from '../optim/average.js';
import type { CentroidLayout } from '../pedcc/layout.js';
import { CentroidSource } from '../pedcc/source.js';
import { BatchNorm } from '../batch-norm/batch-norm.js';
import { CapturedPasses } from './captured-passes.js';
import { featuresOf } from './features.js';
import { classLayer, LayerGroups } from './layer-groups.js';
import type { Range } from '../parallel/buckets.js';
import { Parameters, sha256 } from '../parallel/parameters.js';

interface ClassifierOptions {
  config: Config;
  /** [height, width, channels] of an image. */
  shape: readonly [number, number, number];
  classes: number;
  communicator: Communicator;
  /** Which centroids the classes have; default: as many as there are classes, in order. */
  centroids?: CentroidLayout;
  /** Hears why passes do not run as graphs where they could. */
  onNotice?(line: string): void;
}

/**
 * A classifier in training: a backbone, the vectors of its classes (fixed centroids, or weights where the loss trains
 * them), and all parameters as one flat array, the model's first.
 */
export class Classifier {
  readonly forward: ForwardPass;
  readonly batchNorm: BatchNorm;
  readonly dropout: Dropout;
  readonly parameters: Parameters;
  /** Trainable weights, flat, in the arena that the collectives share. */
  readonly weights: Float32Array;
  readonly centroids: CentroidSource;
  /** Undefined where the classes have as many centroids as there are, in order. */
  readonly centroidLayout: CentroidLayout | undefined;
  /** Weights of the classes, for a loss that trains them. */
  readonly classWeights: ClassWeights | undefined;
  readonly centroidsSha256: string;
  readonly classes: number;
  readonly dim: number;
  readonly shape: readonly [number, number, number];
  /** Of the passes of its network. */
  readonly precision: Precision;

  /** Builds the backbone that the configuration names, and the centroids of its classes. */
  static async create(options: ClassifierOptions): Promise<Classifier> {
    const { config, shape } = options;
    return new Classifier(await buildModel(config.model, { shape, seed: config.seed }), options);
  }

  /** Passes of `evaluate` as graphs, where the backend has such. */
  private readonly evaluations: CapturedPasses<tf.Tensor2D> | undefined;

  private constructor(
    model: tf.LayersModel,
    { config, shape, classes, communicator, centroids, onNotice }: ClassifierOptions,
  ) {
    this.shape = shape;
    this.classes = classes;
    this.dim = config.model.dim;
    this.precision = config.precision;
    const seed = config.centroids.seed ?? config.seed;
    const options = { classes, dim: this.dim, seed, centred: config.centroids.centred };
    this.centroidLayout = centroids;
    this.centroids = new CentroidSource(options, config.centroids.memoryMegabytes * 1e6, centroids);
    this.centroidsSha256 = this.centroids.sha256();
    this.classWeights = createClassWeights(lossOf(config.loss), {
      classes,
      dim: this.dim,
      seed: config.seed,
      init: 'init' in config.model ? config.model.init : undefined,
    });
    this.forward = new ForwardPass(model);
    const averaged = config.ema.decay !== undefined;
    const groups = new LayerGroups(model, config, { classWeights: this.classWeights !== undefined });
    const isFrozen = (layer: string) => groups.of(layer).frozen;
    this.batchNorm = new BatchNorm(model, config.batchNorm, communicator, { averaged, isFrozen });
    this.dropout = new Dropout(model, config.seed);
    const own = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const ofClasses = classVariables(this.classWeights);
    const groupOf = groups.byVariable(model);
    this.parameters = new Parameters(
      [...own, ...ofClasses],
      [...own.map(groupOf), ...ofClasses.map(() => groups.of(classLayer))],
    );
    this.weights = communicator.allocate(this.parameters.length);
    this.parameters.read(this.weights);
    const { capture } = running();
    if (capture && config.capture === 'auto') this.evaluations = this.captureEvaluations(capture, onNotice);
  }

  /** Copies `weights` into the model's variables. */
  loadWeights(): void {
    this.parameters.writeAll(this.weights);
  }

  /** Frees the variables; the flat `weights` stay. */
  dispose(): void {
    this.batchNorm.dispose();
    this.evaluations?.dispose();
    for (const weight of this.forward.model.weights) weight.dispose();
    for (const variable of classVariables(this.classWeights)) variable.dispose();
  }

  /** SHA-256 over weights and moving statistics: equal for runs that have trained the same model. */
  weightsSha256(): string {
    const { batchNorm } = this;
    return sha256(this.weights, batchNorm.flatten().subarray(0, batchNorm.length));
  }

  /** Evaluations see averaged weights, and averaged statistics, until `work` is done; the flat `weights` are these, too. */
  async withAverage<T>(average: Float32Array, work: () => Promise<T>): Promise<T> {
    const own = this.weights.slice();
    const show = (weights: Float32Array, choice: WeightsChoice) => {
      this.weights.set(weights);
      this.loadWeights();
      this.batchNorm.choice = choice;
    };
    show(average, 'average');
    try {
      return await work();
    } finally {
      show(own, 'trained');
    }
  }

  /** SHA-256 over averaged weights and the averages of the moving statistics. */
  averageSha256(average: Float32Array): string {
    const { batchNorm } = this;
    return sha256(average, batchNorm.flatten().subarray(batchNorm.length));
  }

  /** The images of each virtual worker, absent where it has none; one black image where none has any. */
  imagesOf(batch: Batch, rows: readonly Range[]): Parts<tf.Tensor4D> {
    const { count } = batch;
    const pixels = tf.util.sizeFromShape([...this.shape]);
    if (count === 0)
      return rows.map((_, part) => (part === 0 ? tf.zeros<tf.Rank.R4>([1, ...this.shape]) : undefined));
    return rows.map(({ start, end }) =>
      start === end
        ? undefined
        : fromHost<tf.Tensor4D>(() => ({
            values: batch.images.subarray(start * pixels, end * pixels),
            shape: [end - start, ...this.shape],
          })),
    );
  }

  /**
   * Features of an evaluation pass, [b, d], by the published statistics: see `featuresOf`. The variables must be those of
   * `weights`.
   */
  evaluate(batch: Batch, mirror: boolean): tf.Tensor2D {
    const make = (batch: Batch) => featuresOf(this, batch, mirror);
    const result = this.evaluations?.run(`${batch.count} ${mirror}`, batch, make);
    const [features] = result?.values ?? [];
    return features ? tf.tensor2d(features.slice(), [batch.count, this.dim]) : make(batch);
  }

  private captureEvaluations(
    capture: Capture,
    onNotice: (line: string) => void = () => {},
  ): CapturedPasses<tf.Tensor2D> {
    return new CapturedPasses({
      what: 'evaluations',
      capture,
      weights: [...this.parameters.within(this.weights), ...this.batchNorm.published],
      tensorsOf: (features: tf.Tensor2D) => [features],
      onNotice,
    });
  }

  /** Features of a training pass, [b, d]. */
  features(images: Parts<tf.Tensor4D>): tf.Tensor2D {
    const overrides = new Map([...this.batchNorm.overrides, ...this.dropout.overrides]);
    return inPrecision(this.precision, () =>
      images.length === 1
        ? this.forward.run(images[0] as tf.Tensor4D, overrides)
        : (join(this.forward.runParts(images, overrides)) as tf.Tensor2D),
    );
  }
}
