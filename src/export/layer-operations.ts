import type * as tf from '@tensorflow/tfjs';
import { UserError } from '../errors.js';
import { convolutionWeight, depthwiseWeight, flatteningOrder, reordered, transposed } from './layouts.js';
import type { Kind, Pair, WeightTensor } from './operations.js';
import { sameBorder, type Border } from './same-padding.js';

/** A value of the network with channels first. */
export interface Value {
  name: string;
  /** Without the batch: [channels, height, width] or [features]. */
  shape: number[];
  /** Of features that stand in another order than TensorFlow.js has them: feature i is its feature `order[i]`. */
  order?: Int32Array;
}

/** What computes a layer's output. */
export interface LayerOperations {
  /** One after another: a layer's own and its activation, or none. */
  kinds: Kind[];
  /** Of the first operation, by the names that PyTorch's modules give them. */
  tensors?: Record<string, WeightTensor>;
  /** Of the output's features. */
  order?: Int32Array;
}

/**
 * The operation with channels first that computes what a TensorFlow.js layer does, with its weights in PyTorch's
 * layouts.
 *
 * @throws UserError `EXPORT_UNSUPPORTED` naming the layer where there is none
 */
export function layerOperations(layer: tf.layers.Layer, inputs: readonly Value[]): LayerOperations {
  const config = layer.getConfig() as LayerConfig;
  const [input] = inputs;
  const { order } = input;
  if (layer.inboundNodes.length > 1) throw unsupported(layer, 'it is used more than once');
  if (config.dataFormat === 'channelsFirst') throw unsupported(layer, 'its channels come first');
  switch (layer.getClassName()) {
    case 'Conv2D': {
      const [filters, bias] = weightsOf(layer);
      const dilation = config.dilationRate as Pair;
      const kind = convolution(config, input, { dilation, groups: 1 });
      return withActivation(kind, { weight: convolutionWeight(filters), ...biasOf(bias) });
    }
    case 'DepthwiseConv2D': {
      // TensorFlow.js leaves dilation out here.
      const [filters, bias] = weightsOf(layer);
      const kind = convolution(config, input, { dilation: [1, 1], groups: input.shape[0] });
      return withActivation(kind, { weight: depthwiseWeight(filters), ...biasOf(bias) });
    }
    case 'Dense': {
      if (input.shape.length !== 1) throw unsupported(layer, 'it reads images; flatten them before');
      const [kernel, bias] = weightsOf(layer);
      const weight = transposed(reordered(kernel, order), [1, 0]);
      return withActivation({ op: 'linear', bias: bias !== undefined }, { weight, ...biasOf(bias) });
    }
    case 'BatchNormalization': {
      const axis = config.axis as number;
      if (axis !== -1 && axis !== input.shape.length) throw unsupported(layer, `its axis is ${axis}, not -1`);
      if (!config.scale || !config.center) throw unsupported(layer, 'it lacks scale or center');
      const [weight, bias, mean, variance] = weightsOf(layer).map((tensor) => reordered(tensor, order));
      const tensors = { weight, bias, running_mean: mean, running_var: variance };
      return { kinds: [{ op: 'batch_norm', eps: config.epsilon as number }], tensors, order };
    }
    case 'ReLU': {
      const max = config.maxValue as number | null | undefined;
      return { kinds: [max ? { op: 'relu', max } : { op: 'relu' }], order };
    }
    case 'LeakyReLU':
      return { kinds: [{ op: 'leaky_relu', negativeSlope: config.alpha as number }], order };
    case 'Activation':
      return { kinds: activationOf(config), order };
    case 'MaxPooling2D':
      return { kinds: [{ op: 'max_pool2d', ...windowOf(config, input) }] };
    case 'AveragePooling2D':
      return { kinds: [{ op: 'avg_pool2d', ...windowOf(config, input) }] };
    case 'GlobalAveragePooling2D':
      return { kinds: [{ op: 'global_avg_pool2d' }] };
    case 'GlobalMaxPooling2D':
      return { kinds: [{ op: 'global_max_pool2d' }] };
    case 'ZeroPadding2D': {
      const [vertical, horizontal] = config.padding as [Pair, Pair];
      return { kinds: [{ op: 'pad', padding: [...vertical, ...horizontal] }] };
    }
    case 'Flatten':
      return {
        kinds: [{ op: 'flatten' }],
        order: order ?? (input.shape.length === 3 ? flatteningOrder(input.shape) : undefined),
      };
    case 'Add': {
      const differ = inputs.some(
        (other) => other.shape.join() !== input.shape.join() || !sameOrder(other, input),
      );
      if (differ) throw unsupported(layer, 'its inputs have features of different shapes or orders');
      return { kinds: [{ op: 'add' }], order };
    }
    case 'Concatenate': {
      const axis = config.axis as number;
      if (axis !== -1 && axis !== input.shape.length) throw unsupported(layer, `its axis is ${axis}, not -1`);
      return { kinds: [{ op: 'concat' }], order: joinedOrder(inputs) };
    }
    default:
      throw unsupported(layer);
  }

  function withActivation(kind: Kind, tensors: Record<string, WeightTensor>): LayerOperations {
    return { kinds: [kind, ...activationOf(config)], tensors };
  }

  function activationOf({ activation }: LayerConfig): Kind[] {
    switch (activation) {
      case undefined:
      case 'linear':
        return [];
      case 'relu':
        return [{ op: 'relu' }];
      case 'relu6':
        return [{ op: 'relu', max: 6 }];
      case 'sigmoid':
      case 'tanh':
        return [{ op: activation }];
      default:
        throw unsupported(layer, `its activation is ${String(activation)}`);
    }
  }
}

type LayerConfig = Record<string, unknown>;

function unsupported(layer: tf.layers.Layer, why?: string): UserError {
  const has = why ? `: ${why}` : '';
  return new UserError(
    'EXPORT_UNSUPPORTED',
    `layer ${layer.name} (${layer.getClassName()}) cannot be written as safetensors or ONNX${has}`,
  );
}

function weightsOf(layer: tf.layers.Layer): WeightTensor[] {
  return layer.weights.map((weight) => {
    const tensor = weight.read();
    return { shape: tensor.shape, data: tensor.dataSync<'float32'>().slice() };
  });
}

function biasOf(bias: WeightTensor | undefined): Record<string, WeightTensor> {
  return bias ? { bias } : {};
}

function convolution(
  config: LayerConfig,
  input: Value,
  { dilation, groups }: { dilation: Pair; groups: number },
): Kind {
  const stride = config.strides as Pair;
  const padding = borderOf(config, input, { kernel: config.kernelSize as Pair, stride, dilation });
  return { op: 'conv2d', stride, padding, dilation, groups, bias: config.useBias as boolean };
}

function windowOf(config: LayerConfig, input: Value): { kernel: Pair; stride: Pair; padding: Border } {
  const kernel = config.poolSize as Pair;
  const stride = config.strides as Pair;
  return { kernel, stride, padding: borderOf(config, input, { kernel, stride, dilation: [1, 1] }) };
}

function borderOf(
  { padding }: LayerConfig,
  { shape: [, height, width] }: Value,
  { kernel, stride, dilation }: { kernel: Pair; stride: Pair; dilation: Pair },
): Border {
  if (padding !== 'same') return [0, 0, 0, 0];
  return sameBorder({ size: [height, width], kernel, strides: stride, dilations: dilation });
}

function sameOrder(a: Value, b: Value): boolean {
  return a.order?.join() === b.order?.join();
}

/** The order of features one after another. */
function joinedOrder(inputs: readonly Value[]): Int32Array | undefined {
  if (inputs.every(({ order }) => order === undefined)) return undefined;
  let offset = 0;
  return Int32Array.from(
    inputs.flatMap(({ order, shape: [length] }) => {
      const start = offset;
      offset += length;
      return Array.from({ length }, (_, index) => start + (order ? order[index] : index));
    }),
  );
}
