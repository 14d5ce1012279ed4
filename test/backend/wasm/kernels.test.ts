import * as tf from '../../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../../src/backend/index.js';

beforeAll(async () => {
  await initBackend('wasm');
});

describe('registerTrainingKernels', () => {
  it.each(['Conv2DBackpropFilter', 'UnsortedSegmentSum', 'MaxPoolGrad'])(
    'registers the kernel %s',
    (kernel) => {
      expect(tf.getKernel(kernel, 'wasm')).toBeDefined();
    },
  );

  it('can be called again', async () => {
    await expect(initBackend('wasm')).resolves.toMatchObject({ name: 'wasm', device: 'CPU', gpu: false });
  });

  it('leaks no tensor in a training step', () => {
    const filter = tf.variable(tf.randomNormal([3, 3, 2, 4], 0, 1, 'float32', 1));
    const images = tf.randomNormal<tf.Rank.R4>([2, 8, 8, 2], 0, 1, 'float32', 2);
    const step = () =>
      tf.tidy(() => {
        const { grads } = tf.variableGrads(() => {
          const maps = tf.conv2d(images, filter as tf.Tensor4D, 2, 'same');
          const rows = tf.reshape(tf.maxPool(maps, 2, 2, 'valid'), [8, 4]);
          return tf.sum(tf.square(tf.gather(rows, [0, 3, 3, 1]))) as tf.Scalar;
        }, [filter]);
        return Object.values(grads)[0].dataSync().length;
      });
    step();
    const before = tf.memory().numTensors;
    expect(step()).toBe(72);
    expect(tf.memory().numTensors).toBe(before);
  });
});
