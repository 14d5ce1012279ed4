import * as tf from '../../src/tf/index.js';
import { describe, it } from 'vitest';
import { accelerated, expectLikeCpu, normal } from './backends.js';

type Pair = [number, number];

/** Gradients of sum(weight operation(inputs)). */
function gradients(operation: (...inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[]): tf.Tensor[] {
  const y = operation(...inputs);
  const weight = normal(y.shape, 9);
  const loss = (...values: tf.Tensor[]) => tf.sum(tf.mul(operation(...values), weight)) as tf.Scalar;
  return [y, ...tf.grads(loss)(inputs)];
}

describe.each(accelerated)('gradients of tfjs on %s', (name) => {
  for (const pad of ['same', 'valid'] as const) {
    for (const strides of [
      [1, 1],
      [2, 2],
    ] as Pair[]) {
      it.each([
        [
          [2, 7, 6, 4],
          [3, 3, 4, 1],
        ],
        [
          [1, 8, 8, 5],
          [3, 2, 5, 2],
        ],
      ])(`depthwise convolution of %j with %j, ${pad}, strides ${strides[0]}`, (x, filter) =>
        expectLikeCpu(name, () =>
          gradients(
            (a, b) => tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, strides, pad),
            [normal(x, 1), normal(filter, 2)],
          ),
        ),
      );

      it.each([
        [[2, 7, 6, 4], 3],
        [[1, 8, 8, 3], 2],
      ] as [number[], number][])(`max pooling of %j over %i, ${pad}, strides ${strides[0]}`, (x, size) =>
        expectLikeCpu(name, () =>
          // All values negative: their largest must be found all the same.
          gradients((a) => tf.maxPool(a as tf.Tensor4D, size, strides, pad), [normal(x, 1, -5)]),
        ),
      );
    }
  }

  it('1x1 convolution of stride 2 on an even size', () =>
    expectLikeCpu(name, () =>
      gradients(
        (a, b) => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 2, 'same'),
        [normal([2, 8, 8, 4], 1), normal([1, 1, 4, 6], 2)],
      ),
    ));

  it('a sum over segments, ids outside left out', () =>
    expectLikeCpu(name, () => {
      const ids = tf.tensor1d([2, 0, -1, 2, 1], 'int32');
      return [tf.unsortedSegmentSum(normal([5, 3], 1), ids, 4)];
    }));

  it('gathered rows', () =>
    expectLikeCpu(name, () =>
      gradients((a) => tf.gather(a, tf.tensor1d([1, 1, 3], 'int32')), [normal([4, 3], 1)]),
    ));

  it('mean over the pixels', () =>
    expectLikeCpu(name, () => gradients((a) => tf.mean(a, [1, 2]), [normal([3, 4, 5, 6], 1)])));
});
