import * as tf from '../../../src/tf/index.js';
import { describe, expect, it } from 'vitest';
import { initBackend } from '../../../src/backend/index.js';
import { expectLikeCpu, normal } from './compare.js';

describe('unsortedSegmentSum', () => {
  it.each([
    [[6], [0, 2, 2, 1, 0, 5], 6],
    [[6, 3], [0, 2, 2, 1, 0, 5], 7],
    [[4, 2, 5], [3, 3, 3, 3], 4],
    [[1, 8], [0], 1],
    [[5, 2], [0, -1, 2, -1, 0], 3],
  ])('of %j by %j agrees with plain JavaScript', async (shape, ids, segments) => {
    await expectLikeCpu(() => [
      tf.unsortedSegmentSum(normal(shape as [number, number], 1), tf.tensor1d(ids, 'int32'), segments),
    ]);
  });

  it('gives the gradient of gather, summed over repeated rows', async () => {
    const gradient = () => [
      tf.grad((x: tf.Tensor) => tf.gather(x, tf.tensor1d([1, 1, 4, 0], 'int32')))(
        normal([5, 3], 1),
        normal([4, 3], 2),
      ),
    ];
    await expectLikeCpu(gradient);
    await initBackend('wasm');
    tf.tidy(() => {
      const sums = tf.unsortedSegmentSum(
        tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]),
        tf.tensor1d([1, 1, 0], 'int32'),
        3,
      );
      expect([...sums.dataSync()]).toEqual([5, 6, 4, 6, 0, 0]);
    });
  });
});
