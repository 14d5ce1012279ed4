import type * as tf from '@tensorflow/tfjs';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Batch } from '../data/dataset.js';
import { ForwardPass } from '../models/forward.js';
import { buildModel } from '../models/index.js';
import { CentroidSource } from '../pedcc/source.js';
import { BatchNorm } from './batch-norm.js';
import { createClassWeights, type ClassWeights } from './class-weights.js';
import { Parameters, sha256 } from './parameters.js';

interface ClassifierOptions {
  config: Config;
  /** [height, width, channels] of an image. */
  shape: readonly [number, number, number];
  classes: number;
  communicator: Communicator;
}

/**
 * What is trained: a backbone, the vectors of its classes (fixed centroids, or weights where the loss trains them), and
 * all parameters as one flat array, the model's first.
 */
export class Classifier {
  readonly forward: ForwardPass;
  readonly batchNorm: BatchNorm;
  readonly parameters: Parameters;
  /** Trainable weights, flat, in the arena that the collectives share. */
  readonly weights: Float32Array;
  readonly centroids: CentroidSource;
  /** Of a loss that trains them. */
  readonly classWeights: ClassWeights | undefined;
  readonly centroidsSha256: string;
  readonly classes: number;
  readonly dim: number;
  readonly shape: readonly [number, number, number];

  /** Builds the backbone that the configuration names, and the centroids of its classes. */
  static async create(options: ClassifierOptions): Promise<Classifier> {
    const { config, shape } = options;
    return new Classifier(await buildModel(config.model, { shape, seed: config.seed }), options);
  }

  private constructor(model: tf.LayersModel, { config, shape, classes, communicator }: ClassifierOptions) {
    this.shape = shape;
    this.classes = classes;
    this.dim = config.model.dim;
    const seed = config.centroids.seed ?? config.seed;
    const options = { classes, dim: this.dim, seed };
    this.centroids = new CentroidSource(options, config.centroids.memoryMegabytes * 1e6);
    this.centroidsSha256 = this.centroids.sha256();
    this.classWeights = createClassWeights(config.loss, { classes, dim: this.dim, seed: config.seed });
    this.forward = new ForwardPass(model);
    this.batchNorm = new BatchNorm(model, config.batchNorm, communicator);
    const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    this.parameters = new Parameters([...variables, ...classVariables(this.classWeights)]);
    this.weights = communicator.allocate(this.parameters.length);
    this.parameters.read(this.weights);
  }

  /** Puts `weights` into the model's variables. */
  loadWeights(): void {
    this.parameters.writeAll(this.weights);
  }

  /** SHA-256 over weights and moving statistics: what two runs must share to have trained the same model. */
  weightsSha256(): string {
    return sha256(this.weights, this.batchNorm.flatten());
  }

  /** Shape of a batch's image tensor. */
  imageShape(batch: Batch): [number, number, number, number] {
    return [batch.count, ...this.shape];
  }
}

function classVariables(weights: ClassWeights | undefined): tf.Variable[] {
  return weights ? [weights.kernel, weights.bias].filter((one) => one !== undefined) : [];
}
