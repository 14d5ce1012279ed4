import { beforeAll, describe, expect, it } from 'vitest';
import { cosineLogits } from '../../src/losses/index.js';
import * as tf from '../../src/tf/index.js';

describe('cosineLogits', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it.each([1, 1e-11, 1e-18, 1e-30])('gives cosines and their gradients for features of norm %d', (norm) => {
    const centroids = tf.tensor2d([1, 0, 0, 1], [2, 2]);
    const features = tf.tensor2d([0.6 * norm, 0.8 * norm], [1, 2]);
    const { value, grad } = tf.valueAndGrad((z) =>
      tf.sum(tf.mul(cosineLogits(z as tf.Tensor2D, centroids), [[1, 3]])),
    )(features);
    expect([...cosineLogits(features, centroids).dataSync()]).toEqual([
      expect.closeTo(0.6, 6),
      expect.closeTo(0.8, 6),
    ]);
    expect(value.dataSync()[0]).toBeCloseTo(3, 5);
    // (g - (g . zhat) zhat) / |z| with g = (1, 3)
    const [x, y] = [...grad.dataSync()].map((slope) => slope * norm);
    expect([x, y]).toEqual([expect.closeTo(1 - 3 * 0.6, 4), expect.closeTo(3 - 3 * 0.8, 4)]);
  });

  it('gives 0 with gradient 0 for features of norm 0', () => {
    const centroids = tf.tensor2d([1, 0, 0, 1], [2, 2]);
    const slope = tf.grad((z) => tf.sum(cosineLogits(z as tf.Tensor2D, centroids)))(tf.zeros([1, 2]));
    expect([...cosineLogits(tf.zeros([1, 2]), centroids).dataSync(), ...slope.dataSync()]).toEqual([
      0, 0, 0, 0,
    ]);
  });
});
