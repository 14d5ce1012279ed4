import * as tf from '../tf/index.js';
import { reluGradient, type Convolution } from './operations.js';
import { running } from './running.js';

let replaced = false;

/**
 * Replaces gradients of tfjs that pass over memory more often than they need, on every backend. A model's layers use
 * them without knowing.
 */
export function replaceGradients(): void {
  if (replaced) return;
  replaced = true;
  tf.unregisterGradient('Relu');
  tf.unregisterGradient('Mean');
  tf.registerGradient({
    kernelName: 'Mean',
    inputsToSave: ['x'],
    gradFunc: (dy, [x], { axis }) => ({
      x: () => {
        const axes = tf.util.parseAxisParam(axis as number | number[], x.shape);
        const kept = x.shape.map((size, dimension) => (axes.includes(dimension) ? 1 : size));
        const share = tf.div(dy as tf.Tensor, x.size / (dy as tf.Tensor).size);
        return tf.mul(tf.ones(x.shape), tf.reshape(share, kept));
      },
    }),
  });
  tf.registerGradient({
    kernelName: 'Relu',
    outputsToSave: [true],
    gradFunc: (dy, [y]) => ({ x: () => reluGradient(dy as tf.Tensor, y) }),
  });
  tf.registerGradient({
    kernelName: 'FusedConv2D',
    inputsToSave: ['x', 'filter'],
    outputsToSave: [true],
    gradFunc: (dy, [x, filter, y], attributes) => {
      const { activation, strides, pad, dilations } = attributes as unknown as Convolution;
      const rectified = activation === 'relu' ? y : undefined;
      const both = rectified && running().biasGradient?.(dy as tf.Tensor, rectified);
      const inner = (both?.g ?? (rectified ? reluGradient(dy as tf.Tensor, rectified) : dy)) as tf.Tensor4D;
      const geometry = { strides, pad, dilations, dataFormat: 'NHWC' };
      const engine = tf.engine();
      return {
        x: () =>
          engine.runKernel(
            'Conv2DBackpropInput',
            { dy: inner, filter },
            { ...geometry, inputShape: x.shape },
          ),
        filter: () =>
          engine.runKernel(
            'Conv2DBackpropFilter',
            { x, dy: inner },
            { ...geometry, filterShape: filter.shape },
          ),
        bias: () => (both ?? running().biasGradient?.(inner))?.sum ?? tf.sum(inner, [0, 1, 2]),
      };
    },
  });
}
