import { beforeAll, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { disposeTape } from '../../src/tf/dispose-tape.js';
import * as tf from '../../src/tf/index.js';

beforeAll(() => initBackend('cpu'));

/** Computes a gradient whose backward pass throws, as it does when another rank is lost. */
function fail(weights: tf.Variable): void {
  const lost = tf.customGrad((x) => ({
    value: tf.square(x as tf.Tensor),
    gradFunc: () => {
      throw new Error('the other rank is lost');
    },
  }));
  tf.tidy(() => tf.variableGrads(() => tf.sum(lost(tf.mul(weights, weights))), [weights]));
}

it('disposeTape frees the tensors that failed gradients have saved', () => {
  const weights = tf.variable(tf.tensor1d([1, 2, 3]));
  const before = tf.memory().numTensors;
  expect(() => fail(weights)).toThrow('the other rank is lost');
  expect(tf.memory().numTensors).toBeGreaterThan(before);
  disposeTape();
  for (let time = 0; time < 30; time++) {
    expect(() => fail(weights)).toThrow();
    disposeTape();
  }
  expect(tf.memory().numTensors).toBe(before);
  const { grads } = tf.variableGrads(() => tf.sum(tf.mul(weights, weights)), [weights]);
  expect(Object.values(grads).map((gradient) => [...gradient.dataSync()])).toEqual([[2, 4, 6]]);
});
