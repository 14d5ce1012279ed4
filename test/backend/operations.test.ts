import * as tf from '../../src/tf/index.js';
import { describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { convolve, type Convolution } from '../../src/backend/operations.js';
import { normal } from './backends.js';
import { backendsHere } from './backends.js';

describe.each(backendsHere)('a convolution on %s', (name) => {
  it('skips the gradient of the images if only the gradient of the filter is asked for', async () => {
    await initBackend(name);
    const seen: string[] = [];
    const engine = tf.engine();
    const original = engine.runKernel;
    engine.runKernel = function (kernel: string, ...rest: never[]) {
      seen.push(kernel);
      return (original as (...args: unknown[]) => never).call(engine, kernel, ...rest);
    };
    try {
      tf.tidy(() => {
        const [x, filter] = [normal([1, 4, 4, 3], 1), normal([3, 3, 3, 2], 2)] as tf.Tensor4D[];
        const convolution: Convolution = {
          strides: [1, 1],
          pad: 'same',
          dilations: [1, 1],
          activation: 'linear',
        };
        tf.grad((value) => tf.sum(convolve(x, value as tf.Tensor4D, undefined, convolution)))(filter);
      });
    } finally {
      engine.runKernel = original;
    }
    expect(seen).toContain('Conv2DBackpropFilter');
    expect(seen).not.toContain('Conv2DBackpropInput');
  });
});
