import type { Kind, Pair } from './operations.js';
import { sameBorder, type Border } from './same-padding.js';

/** Configuration of a layer of TensorFlow.js. */
export type LayerConfig = Record<string, unknown>;

type Convolution = Extract<Kind, { op: 'conv2d' }>;

/** A value [channels, height, width]. */
interface Sized {
  shape: readonly number[];
}

/** A convolution with the strides and padding of a layer. */
export function convolution(
  config: LayerConfig,
  input: Sized,
  { dilation, groups }: { dilation: Pair; groups: number },
): Convolution {
  const stride = config.strides as Pair;
  const padding = borderOf(config, input, { kernel: config.kernelSize as Pair, stride, dilation });
  return { op: 'conv2d', stride, padding, dilation, groups, bias: config.useBias as boolean };
}

export function pointwiseConvolution(bias: boolean): Convolution {
  return { op: 'conv2d', stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1, bias };
}

/** Kernel, strides and padding of a pooling layer. */
export function windowOf(config: LayerConfig, input: Sized): { kernel: Pair; stride: Pair; padding: Border } {
  const kernel = config.poolSize as Pair;
  const stride = config.strides as Pair;
  return { kernel, stride, padding: borderOf(config, input, { kernel, stride, dilation: [1, 1] }) };
}

function borderOf(
  { padding }: LayerConfig,
  { shape: [, height, width] }: Sized,
  { kernel, stride, dilation }: { kernel: Pair; stride: Pair; dilation: Pair },
): Border {
  if (padding !== 'same') return [0, 0, 0, 0];
  return sameBorder({ size: [height, width], kernel, strides: stride, dilations: dilation });
}
