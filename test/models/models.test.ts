import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { ForwardPass } from '../../src/models/forward.js';
import { buildModel } from '../../src/models/index.js';

const shape = [32, 32, 3] as const;
const small = { name: 'small-cnn', dim: 16, channels: [4, 8], strides: [1, 2], batchNorm: true } as const;

function trainable(model: tf.LayersModel): number {
  return model.trainableWeights.reduce(
    (sum, weight) => sum + weight.shape.reduce<number>((a, b) => a * (b ?? 1), 1),
    0,
  );
}

describe('buildModel', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('makes ResNet-20 with projections: 272,474 parameters at d = 10', () => {
    expect(trainable(buildModel({ name: 'resnet20', dim: 10 }, { shape, seed: 1 }))).toBe(272_474);
  });

  it('makes the same initial weights from the same seed, others from another', () => {
    const weights = (seed: number) =>
      buildModel({ ...small, channels: [4, 8], strides: [1, 2] }, { shape, seed }).trainableWeights.map(
        (weight) => [...weight.read().dataSync()],
      );
    expect(weights(3)).toEqual(weights(3));
    expect(weights(3)).not.toEqual(weights(4));
  });

  it('says so when a convolution has no stride', () => {
    expect(() => buildModel({ ...small, channels: [4, 8], strides: [1] }, { shape, seed: 1 })).toThrow(
      /2 entries and model.strides 1/,
    );
  });
});

describe('ForwardPass', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('computes what the model computes', () => {
    const model = buildModel({ name: 'resnet20', dim: 8 }, { shape: [8, 8, 3], seed: 1 });
    const images = tf.randomNormal<tf.Rank.R4>([2, 8, 8, 3], 0, 1, 'float32', 5);
    const expected = (model.predict(images) as tf.Tensor).dataSync();
    const actual = tf.tidy(() => new ForwardPass(model).run(images).dataSync());
    actual.forEach((value, index) => expect(value).toBeCloseTo(expected[index], 5));
  });

  it('puts an override in the place of a layer', () => {
    const model = buildModel({ ...small, channels: [4, 8], strides: [1, 2] }, { shape: [8, 8, 3], seed: 1 });
    const images = tf.ones<tf.Rank.R4>([1, 8, 8, 3]);
    const seen: number[][] = [];
    const override = (input: tf.Tensor) => {
      seen.push(input.shape);
      return tf.zerosLike(input);
    };
    const features = tf.tidy(() =>
      new ForwardPass(model).run(images, new Map([['bn5', override]])).dataSync(),
    );
    expect(seen).toEqual([[1, 4, 4, 8]]);
    expect(features.every((value) => value === 0)).toBe(true);
  });

  it('refuses a network that uses a layer twice', () => {
    const input = tf.input({ shape: [4] });
    const dense = tf.layers.dense({ units: 4 });
    const model = tf.model({ inputs: input, outputs: dense.apply(dense.apply(input)) as tf.SymbolicTensor });
    expect(() => new ForwardPass(model)).toThrow(/used 2 times/);
  });
});
