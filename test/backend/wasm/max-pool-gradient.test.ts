import * as tf from '../../../src/tf/index.js';
import { describe, expect, it } from 'vitest';
import { initBackend } from '../../../src/backend/index.js';
import { expectLikeCpu, normal } from './compare.js';

/** Transformations of the inputs: around zero, all below zero, many equal zeros as after ReLU, and far below zero. */
const inputs = {
  mixed: (x: tf.Tensor) => x,
  negative: (x: tf.Tensor) => tf.sub(x, 10),
  'no positive value, some zeros': (x: tf.Tensor) => tf.neg(tf.relu(x)),
  'far below': (x: tf.Tensor) => tf.sub(x, 1000),
} as const;

type Case = [size: number, strides: number, pad: 'same' | 'valid', shape: [number, number, number, number]];

const cases: Case[] = [
  [2, 2, 'valid', [2, 8, 8, 3]],
  [2, 2, 'same', [2, 7, 9, 3]],
  [3, 2, 'same', [1, 8, 8, 2]],
  [3, 1, 'valid', [2, 6, 5, 4]],
  [3, 1, 'same', [2, 6, 5, 1]],
  [2, 3, 'valid', [1, 10, 10, 2]],
  [1, 1, 'valid', [1, 3, 3, 2]],
  [5, 5, 'same', [1, 4, 4, 2]],
];

describe.each(Object.entries(inputs))('the gradient of max pooling, inputs %s', (name, place) => {
  it.each(cases)(
    'agrees with plain JavaScript for windows of %i, stride %i, %s, on %j',
    async (size, strides, pad, shape) => {
      // Of equal values in a window either may get the gradient: compare sums, which do not depend on the choice.
      const ties = name.includes('zeros');
      await expectLikeCpu(() => {
        const x = place(normal<tf.Rank.R4>(shape, 1));
        const pool = (value: tf.Tensor) => tf.maxPool(value as tf.Tensor4D, size, strides, pad);
        const y = pool(x);
        const dx = tf.grad(pool)(x, normal(y.shape, 2));
        return ties ? [y, tf.sum(dx, [1, 2])] : [y, dx];
      });
    },
  );
});

describe('the gradient of max pooling', () => {
  it('goes only to the largest value of each window', async () => {
    await initBackend('wasm');
    tf.tidy(() => {
      const x = tf.tensor4d(
        [-4, -3, -2, -9, -1, -8, -7, -5, -6, -20, -21, -22, -30, -31, -32, -19],
        [1, 4, 4, 1],
      );
      const dy = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
      const dx = tf.grad((value: tf.Tensor) => tf.maxPool(value as tf.Tensor4D, 2, 2, 'valid'))(x, dy);
      expect([...dx.dataSync()]).toEqual([0, 0, 2, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 4]);
    });
  });
});
