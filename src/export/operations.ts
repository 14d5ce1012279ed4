import type { WeightTensor } from '../models/layouts.js';
import type { Border } from './same-padding.js';

/** One number for rows, one for columns. */
export type Pair = readonly [vertical: number, horizontal: number];

/** Functions of one number without parameters. */
export const elementwise = [
  'elu',
  'sigmoid',
  'hard_sigmoid',
  'tanh',
  'selu',
  'softplus',
  'softsign',
  'swish',
  'mish',
  'gelu',
] as const;
export type Elementwise = (typeof elementwise)[number];

/** An operation in PyTorch's terms; values are [b, channels, height, width], [b, tokens, channels] or [b, features]. */
export type Kind =
  /** Weight [out, in / groups, height, width] and, with `bias`, bias [out]; `padding` is of zeros. */
  | {
      op: 'conv2d';
      stride: Pair;
      padding: Border;
      dilation: Pair;
      groups: number;
      bias: boolean;
    }
  /** x W^T + b, of features or of each token: weight [out, in] and, with `bias`, bias [out]. */
  | { op: 'linear'; bias: boolean }
  /** Weight, bias, running_mean and running_var, each [channels]. */
  | { op: 'batch_norm'; eps: number }
  /** min(max(0, x), max). */
  | { op: 'relu'; max?: number }
  | { op: 'leaky_relu'; negativeSlope: number }
  /** x where it is positive, else weight x; the weight broadcasts over what one image's value holds. */
  | { op: 'prelu' }
  /** hard_sigmoid: x / 5 + 1/2 within [0, 1]; swish: x sigmoid(x); mish: x tanh(softplus(x)); gelu by the error function. */
  | { op: Elementwise }
  /** Softmax over channels (of tokens the last axis) or features. */
  | { op: 'softmax' }
  /** Normalisation over the channels of each place or token, or over features: weight and bias [channels]. */
  | { op: 'layer_norm'; eps: number }
  /** The border counts for nothing: neither as a maximum nor in the number that a sum is divided by. */
  | { op: 'max_pool2d' | 'avg_pool2d'; kernel: Pair; stride: Pair; padding: Border }
  /** Pooling over height and width: [b, channels]. */
  | { op: 'global_avg_pool2d' | 'global_max_pool2d' }
  /** A border of zeros. */
  | { op: 'pad'; padding: Border }
  | { op: 'flatten' }
  /** [b, features] as images of one pixel, [b, features, 1, 1]. */
  | { op: 'unflatten' }
  /** The places of an image one after another, row by row, as tokens: [b, height * width, channels]. */
  | { op: 'tokens' }
  /** The product of two matrices an image, the second one transposed or not. */
  | { op: 'matmul'; transposed: boolean }
  /** The mean of all tokens: [b, channels]. */
  | { op: 'mean_token' }
  /** All inputs, elementwise; one that has one row and one column goes with every place of the others. */
  | { op: 'add' | 'multiply' | 'average' | 'maximum' | 'minimum' }
  /** All inputs, along channels or features. */
  | { op: 'concat' }
  /** x / |x| a row; 0 where |x| is. */
  | { op: 'normalize' };

export type Operation = Kind & {
  /** Name of the operation and of the value that it makes; a tensor of its own is `<name>.<tensor>`. */
  name: string;
  /** Names of the values that it reads: of earlier operations, or `images`. */
  inputs: string[];
  /** Shape of its value, without the batch. */
  shape: number[];
};

/** A network with channels first: operations in an order in which they can be computed, the last makes the output. */
export interface Network {
  /** [channels, height, width] of the value `images`. */
  inputShape: readonly [number, number, number];
  operations: Operation[];
  tensors: Map<string, WeightTensor>;
}
