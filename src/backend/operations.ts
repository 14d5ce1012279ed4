import * as tf from '../tf/index.js';
import type { Activation } from './activation.js';
import { running } from './running.js';

/** dy where the ReLU's output y is positive, else 0. */
export function reluGradient(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return running().reluGradient?.(dy, y) ?? tf.mul(dy, tf.step(y));
}

/** a + b of tensors of one shape, or max(0, a + b). */
export function addThen(activation: Activation, a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return activation === 'relu' ? addRelu(a, b) : tf.add(a, b);
}

/** max(0, a + b) of tensors of one shape. */
export function addRelu(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const operation = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [left, right, save] = inputs as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const value = tf.relu(tf.add(left, right));
    save([value]);
    const gradFunc = (dy: tf.Tensor, [y]: tf.Tensor[]) => {
      const gradient = reluGradient(dy, y);
      return [gradient, gradient.clone()];
    };
    return { value, gradFunc };
  });
  return operation(a, b);
}

export interface Convolution {
  strides: [number, number];
  pad: 'same' | 'valid';
  dilations: [number, number];
  activation: Activation;
}

/** Convolution of x [b, height, width, c] with a filter [kh, kw, c, o], bias [o] added, ReLU applied where asked. */
export function convolve(
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  bias: tf.Tensor | undefined,
  convolution: Convolution,
): tf.Tensor4D {
  const inputs: tf.NamedTensorMap = bias ? { x, filter, bias } : { x, filter };
  const attributes = { ...convolution, dataFormat: 'NHWC' };
  return tf.engine().runKernel('FusedConv2D', inputs, attributes);
}
