import type * as tf from '@tensorflow/tfjs';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { Batch } from '../data/dataset.js';
import { ForwardPass } from '../models/forward.js';
import { buildModel } from '../models/index.js';
import { fingerprint, generateCentroids } from '../pedcc/index.js';
import { BatchNorm } from './batch-norm.js';
import { Parameters, sha256 } from './parameters.js';

interface ClassifierOptions {
  config: Config;
  /** [height, width, channels] of an image. */
  shape: readonly [number, number, number];
  classes: number;
  communicator: Communicator;
}

/** What is trained: a backbone, the fixed centroids of its classes, and its parameters as one flat array. */
export class Classifier {
  readonly forward: ForwardPass;
  readonly batchNorm: BatchNorm;
  readonly parameters: Parameters;
  /** Trainable weights, flat, in the arena that the collectives share. */
  readonly weights: Float32Array;
  /** Row-major [classes, dim], unit rows. */
  readonly centroids: Float32Array;
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
    this.centroids = generateCentroids({
      classes,
      dim: this.dim,
      seed: config.centroids.seed ?? config.seed,
    }).values;
    this.centroidsSha256 = fingerprint(this.centroids);
    this.forward = new ForwardPass(model);
    this.batchNorm = new BatchNorm(model, config.batchNorm, communicator);
    this.parameters = new Parameters(model.trainableWeights.map((weight) => weight.read() as tf.Variable));
    this.weights = communicator.allocate(this.parameters.length);
    this.parameters.read(this.weights);
  }

  /** Puts `weights` into the model's variables. */
  loadWeights(): void {
    this.parameters.write(this.weights);
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
