import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { CosineAccuracy } from '../../src/evaluation/cosine-accuracy.js';
import { CentroidSource } from '../../src/pedcc/source.js';
import { classVectors } from '../../src/training/class-vectors.js';

describe('CosineAccuracy', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('finds the own class among many, in blocks of rows that are made on demand', () => {
    const classes = 6000;
    const source = new CentroidSource({ classes, dim: 256, seed: 2 }, 0);
    expect(source.stored).toBe(false);
    const accuracy = new CosineAccuracy(classVectors(source, undefined));
    const labels = Int32Array.from([0, 4095, 4096, 5999, 17]);
    tf.tidy(() => {
      const own = tf.tensor2d(source.rows(labels), [5, 256]);
      const noise = tf.randomNormal<tf.Rank.R2>([5, 256], 0, 0.02, 'float32', 1);
      const lost = tf.tensor2d([1, 1, 1, 1, 0], [5, 1]);
      accuracy.add(tf.mul(tf.mul(tf.add(own, noise), 3), lost), labels);
    });
    const { total, correct, cosineSum, confusion, classCorrect } = accuracy.totals;
    expect([total, correct, confusion.length]).toEqual([5, 4, 0]);
    expect(classCorrect[5999]).toBe(1);
    expect(classCorrect[17]).toBe(0);
    expect(cosineSum).toBeGreaterThan(3.5);
    expect(tf.memory().numTensors).toBe(0);
  });

  it('chooses by logits and their bias for plain softmax, by cosines for the others', () => {
    const kernel = tf.variable(tf.tensor2d([10, 0, 0, 1], [2, 2]));
    const bias = tf.variable(tf.tensor1d([0, 20]));
    const source = new CentroidSource({ classes: 2, dim: 2, seed: 1 });
    const features = tf.tensor2d([1, 0, 0.5, 0.6, 0, 0], [3, 2]);
    const counted = (weights: Parameters<typeof classVectors>[1]) => {
      const accuracy = new CosineAccuracy(classVectors(source, weights));
      accuracy.add(features, Int32Array.from([0, 0, 1]));
      return accuracy.totals.confusion;
    };
    expect(counted({ kernel, bias })).toEqual([0, 2, 0, 0, 0, 1]);
    expect(counted({ kernel })).toEqual([1, 1, 0, 0, 0, 1]);
  });
});
