import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { compare } from '../../src/evaluation/comparison.js';
import { beyondPlaces } from '../../src/evaluation/places.js';
import { count, emptyTotals } from '../../src/evaluation/totals.js';
import { CentroidSource } from '../../src/pedcc/source.js';
import { randomStream } from '../../src/util/random.js';
import { classVectors } from '../../src/classifier/class-vectors.js';

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  const dot = (u: ArrayLike<number>, v: ArrayLike<number>) =>
    Array.from(u).reduce((sum, value, index) => sum + value * v[index], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};

describe('compare', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('assigns classes with centroids that are generated block by block', () => {
    const classes = 6000;
    const tensors = tf.memory().numTensors;
    const source = new CentroidSource({ classes, dim: 256, seed: 2 }, 0);
    expect(source.stored).toBe(false);
    const labels = Int32Array.from([0, 4095, 4096, 5999, 17]);
    const features = tf.tidy(() => {
      const own = tf.tensor2d(source.rows(labels), [5, 256]);
      const noise = tf.randomNormal<tf.Rank.R2>([5, 256], 0, 0.02, 'float32', 1);
      const lost = tf.tensor2d([1, 1, 1, 1, 0], [5, 1]);
      return tf.mul<tf.Tensor2D>(tf.mul(tf.add(own, noise), 3), lost);
    });
    const comparison = compare(features, labels, classVectors(source, undefined));
    features.dispose();
    expect([...comparison.assigned]).toEqual([0, 4095, 4096, 5999, classes]);
    expect([...comparison.place]).toEqual([0, 0, 0, 0, beyondPlaces]);
    expect(comparison.norm[0]).toBeGreaterThan(2);
    expect([comparison.norm[4], comparison.own[4], comparison.chosen[4]]).toEqual([0, -1, -1]);
    const totals = emptyTotals(classes);
    count(totals, comparison);
    expect([totals.total, totals.correct, totals.confusion.length]).toEqual([5, 4, 0]);
    expect([totals.classCorrect[5999], totals.classCorrect[17]]).toEqual([1, 0]);
    expect(totals.cosineSum).toBeGreaterThan(3.5);
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('agrees with sorting all cosines in double precision', () => {
    const [classes, dim, images] = [23, 12, 200];
    const random = randomStream(7);
    const features = Float32Array.from({ length: images * dim }, () => random.normal());
    const labels = Int32Array.from({ length: images }, () => random.below(classes));
    const source = new CentroidSource({ classes, dim, seed: 1 });
    const tensor = tf.tensor2d(features, [images, dim]);
    const comparison = compare(tensor, labels, classVectors(source, undefined));
    labels.forEach((label, image) => {
      const row = features.subarray(image * dim, (image + 1) * dim);
      const sorted = Array.from({ length: classes }, (_, index) => index)
        .map((index) => ({ index, value: cosine(row, source.block(index, index + 1)) }))
        .sort((a, b) => b.value - a.value);
      const place = sorted.findIndex(({ index }) => index === label);
      expect(comparison.assigned[image]).toBe(sorted[0].index);
      expect(comparison.place[image]).toBe(place < 5 ? place : beyondPlaces);
      expect(comparison.norm[image]).toBeCloseTo(Math.hypot(...row), 5);
      expect(comparison.own[image]).toBeCloseTo(sorted[place].value, 5);
      expect(comparison.other[image]).toBeCloseTo(sorted[place === 0 ? 1 : 0].value, 5);
      expect(comparison.chosen[image]).toBeCloseTo(sorted[0].value, 5);
      expect(comparison.next[image]).toBeCloseTo(sorted[1].value, 5);
    });
    tensor.dispose();
  });

  it('assigns by logits with bias for plain softmax, and gives their probabilities besides cosines', () => {
    const kernel = tf.variable(tf.tensor2d([10, 0, 0, 1], [2, 2]));
    const bias = tf.variable(tf.tensor1d([0, 20]));
    const source = new CentroidSource({ classes: 2, dim: 2, seed: 1 });
    const features = tf.tensor2d([1, 0, 0.6, 0.8, 0, 0], [3, 2]);
    const compared = (weights: Parameters<typeof classVectors>[1]) =>
      compare(features, Int32Array.from([0, 0, 1]), classVectors(source, weights));
    const withBias = compared({ kernel, bias });
    expect([...withBias.assigned]).toEqual([1, 1, 2]);
    expect(withBias.own[1]).toBeCloseTo(0.6, 6);
    expect(withBias.other[1]).toBeCloseTo(0.8, 6);
    // Logits 10 and 20, then 6 and 20.8.
    for (const [image, gap] of [10, 14.8].entries()) {
      expect(withBias.chosen[image]).toBeCloseTo(1 / (1 + Math.exp(-gap)), 6);
      expect(withBias.next[image] / Math.exp(-gap)).toBeCloseTo(1, 3);
    }
    expect([withBias.chosen[2], withBias.next[2]]).toEqual([-1, -1]);
    expect([...compared({ kernel }).assigned]).toEqual([0, 1, 2]);
  });

  it('normalises probabilities over the logits of all blocks', () => {
    const classes = 5000;
    const kernel = tf.variable(tf.randomNormal<tf.Rank.R2>([classes, 3], 0, 1, 'float32', 2));
    const bias = tf.variable(tf.zeros<tf.Rank.R1>([classes]));
    const source = new CentroidSource({ classes: 2, dim: 3, seed: 1 });
    const features = tf.tensor2d([1, -2, 0.5], [1, 3]);
    const { chosen, assigned } = compare(
      features,
      Int32Array.of(4999),
      classVectors(source, { kernel, bias }),
    );
    const rows = kernel.dataSync();
    const logits = Array.from(
      { length: classes },
      (_, row) => rows[3 * row] - 2 * rows[3 * row + 1] + rows[3 * row + 2] / 2,
    );
    const most = Math.max(...logits);
    expect(assigned[0]).toBe(logits.indexOf(most));
    const sum = logits.reduce((all, logit) => all + Math.exp(logit - most), 0);
    expect(chosen[0] * sum).toBeCloseTo(1, 4);
  });

  it('assigns features that are not finite to no class', () => {
    const source = new CentroidSource({ classes: 3, dim: 2, seed: 1 });
    const features = tf.tensor2d([NaN, 1, Infinity, 0], [2, 2]);
    const { assigned, own, place } = compare(
      features,
      Int32Array.from([0, 1]),
      classVectors(source, undefined),
    );
    expect([[...assigned], [...own], [...place]]).toEqual([
      [3, 3],
      [-1, -1],
      [beyondPlaces, beyondPlaces],
    ]);
  });
});
