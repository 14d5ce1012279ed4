import * as tf from '../../src/tf/index.js';
import { configSchema } from '../../src/config/schema.js';
import { describe as describeModel } from '../../src/export/description.js';
import type { Head } from '../../src/export/head.js';
import { ForwardPass } from '../../src/models/forward.js';
import { buildModel, models } from '../../src/models/index.js';
import { randomStream, type RandomStream } from '../../src/util/random.js';
import { rowsOf } from './trained.js';

const classes = 7;
const dim = 12;

/** A network with random weights and batch-norm statistics, images, and their cosines. */
export class RandomNetwork {
  readonly imageShape: readonly [number, number, number, number];
  readonly images: Float32Array;
  readonly head: Head;
  /** Cosines from pod-dist's forward pass, with the head computed in plain arithmetic, [images][classes]. */
  readonly cosines: number[][];

  /** A backbone of src/models for colour images of `side` x `side` pixels. */
  static async ofModel(model: object, side: number): Promise<RandomNetwork> {
    const config = models.schema.parse({ ...model, dim });
    return new RandomNetwork(await buildModel(config, { shape: [side, side, 3], seed: 3 }));
  }

  /** Randomises the weights of `backbone`, which maps images [b, side, side, channels] to features [b, 12]. */
  constructor(readonly backbone: tf.LayersModel) {
    const random = randomStream(7);
    backbone.layers.forEach((layer) => randomise(layer, random));
    this.imageShape = [2, ...(backbone.inputs[0].shape.slice(1) as [number, number, number])];
    this.images = normals(random, this.imageShape, 1);
    const rows = rowsOf(normals(random, [classes, dim], 1), dim).map(unit);
    this.head = { scores: 'cosines', weight: Float32Array.from(rows.flat()), classes, dim };
    const features = tf.tidy(() =>
      new ForwardPass(backbone).run(tf.tensor4d(this.images, [...this.imageShape])).dataSync(),
    );
    this.cosines = rowsOf(features, dim).map((feature) => rows.map((row) => dot(row, unit(feature))));
  }

  description() {
    const config = configSchema.parse({
      data: { name: 'digits' },
      model: { name: 'small-cnn' },
      learningRate: { schedule: 'constant', rate: 1 },
    });
    const classNames = Array.from({ length: classes }, (_, index) => `class ${index}`);
    const [, ...shape] = this.imageShape;
    return describeModel({ config, shape, classNames, epochs: 1 }, this.head, 'NCHW');
  }
}

/** Randomises biases and the vectors of batch norm, whose constant initial values would hide a wrong export. */
function randomise(layer: tf.layers.Layer, random: RandomStream): void {
  if (layer.getClassName() === 'BatchNormalization') {
    const [length] = layer.weights[0].shape as number[];
    const between = (low: number, high: number) =>
      tf.tensor1d(Float32Array.from({ length }, () => low + (high - low) * random.uniform()));
    const [scale, offset, mean, variance] = [
      between(0.8, 1.6),
      between(-0.1, 0.1),
      between(-0.1, 0.1),
      between(0.5, 1.5),
    ];
    layer.setWeights([scale, offset, mean, variance].slice(-layer.weights.length));
    tf.dispose([scale, offset, mean, variance]);
    return;
  }
  for (const weight of layer.weights) {
    if (weight.shape.length !== 1) continue;
    const shape = weight.shape as number[];
    tf.tidy(() => void weight.write(tf.tensor1d(normals(random, shape, 0.1))));
  }
}

function normals(random: RandomStream, shape: readonly number[], deviation: number): Float32Array {
  const length = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length }, () => deviation * random.normal());
}

function unit(vector: readonly number[]): number[] {
  const norm = Math.hypot(...vector);
  return vector.map((value) => value / norm);
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * b[index], 0);
}
