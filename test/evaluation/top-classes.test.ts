import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { topClasses } from '../../src/evaluation/top-classes.js';
import { CentroidSource } from '../../src/pedcc/source.js';
import { randomStream } from '../../src/util/random.js';
import { classVectors } from '../../src/classifier/class-vectors.js';

describe('topClasses', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('gives the largest cosines over blocks of classes, in order', () => {
    const [classes, dim] = [5000, 64];
    const tensors = tf.memory().numTensors;
    const source = new CentroidSource({ classes, dim, seed: 2 }, 0);
    const random = randomStream(3);
    const rows = Array.from({ length: 3 }, () => Array.from({ length: dim }, () => 5 * random.normal()));
    const features = tf.tensor2d(rows);
    const found = topClasses(classVectors(source, undefined), features, 7);
    features.dispose();
    const centroids = source.block(0, classes);
    rows.forEach((row, at) => {
      const norm = Math.hypot(...row);
      const cosines = Array.from({ length: classes }, (_, index) =>
        row.reduce((sum, value, axis) => sum + (value * centroids[index * dim + axis]) / norm, 0),
      );
      const order = [...cosines.keys()].sort((a, b) => cosines[b] - cosines[a]).slice(0, 7);
      expect(found[at].map(({ index }) => index)).toEqual(order);
      found[at].forEach(({ index, score }) => expect(score).toBeCloseTo(cosines[index], 5));
    });
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('gives probabilities for logits with a bias', () => {
    const kernel = tf.variable(tf.tensor2d([10, 0, 0, 1, 0, 0], [3, 2]));
    const bias = tf.variable(tf.tensor1d([0, 9, 1]));
    const source = new CentroidSource({ classes: 3, dim: 2, seed: 1 });
    const [top] = topClasses(classVectors(source, { kernel, bias }), tf.tensor2d([[1, 0.5]]), 2);
    const sum = Math.exp(10) + Math.exp(9.5) + Math.exp(1);
    expect(top.map(({ index }) => index)).toEqual([0, 1]);
    expect(top[0].score).toBeCloseTo(Math.exp(10) / sum, 6);
    expect(top[1].score).toBeCloseTo(Math.exp(9.5) / sum, 6);
  });

  it('gives no class for features without a direction, and at most as many classes as exist', () => {
    const source = new CentroidSource({ classes: 3, dim: 4, seed: 1 });
    const features = tf.tensor2d([
      [0, 0, 0, 0],
      [1, 2, 3, 4],
      [NaN, 0, 0, 0],
    ]);
    const counts = topClasses(classVectors(source, undefined), features, 5).map(({ length }) => length);
    expect(counts).toEqual([0, 3, 0]);
  });
});
