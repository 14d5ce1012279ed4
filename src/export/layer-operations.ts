import type * as tf from '../tf/index.js';
import { UserError } from '../util/errors.js';
import {
  convolutionWeight,
  depthwiseWeight,
  flatteningOrder,
  reordered,
  transposed,
  type WeightTensor,
} from '../models/layouts.js';
import { elementwise, type Kind, type Pair } from './operations.js';
import { convolution, pointwiseConvolution, windowOf, type LayerConfig } from './windows.js';

/** A value of the network with channels first. */
export interface Value {
  name: string;
  /** Shape without the batch: [channels, height, width], [tokens, channels] or [features]. */
  shape: number[];
  /** Order of features that is not TensorFlow.js's: feature i is its feature `order[i]`. */
  order?: Int32Array;
}

/** One of the operations that compute a layer's output one after another. */
export interface Step {
  kind: Kind;
  /** Weights by the names that PyTorch's modules give them. */
  tensors?: Record<string, WeightTensor>;
  /** Suffix that follows the layer's name in the operation's name. */
  suffix?: string;
  /** Channels of its value, where they differ from the layer's. */
  channels?: number;
}

/** Operations that compute a layer's output. */
export interface LayerOperations {
  /** None where the output is the input. */
  steps: Step[];
  /** Order of the output's features, as in `Value`. */
  order?: Int32Array;
}

/**
 * Operations with channels first that compute the same as a TensorFlow.js layer, with its weights in PyTorch's
 * layouts.
 *
 * @throws UserError `EXPORT_UNSUPPORTED` naming the layer where there are none
 */
export function layerOperations(layer: tf.layers.Layer, inputs: readonly Value[]): LayerOperations {
  const config = layer.getConfig() as LayerConfig;
  const [input] = inputs;
  const { order } = input;
  const ofImages = input.shape.length === 3;
  const ofTokens = input.shape.length === 2;
  if (layer.inboundNodes.length > 1) throw unsupported('it is used more than once');
  if (config.dataFormat === 'channelsFirst') throw unsupported('its channels come first');
  switch (layer.getClassName()) {
    case 'Conv2D': {
      const [filters, bias] = weightsOf(layer);
      const kind = convolution(config, input, { dilation: config.dilationRate as Pair, groups: 1 });
      return withActivation({ kind, tensors: { weight: convolutionWeight(filters), ...biasOf(bias) } });
    }
    case 'DepthwiseConv2D': {
      // TensorFlow.js leaves dilation out here.
      const [filters, bias] = weightsOf(layer);
      const kind = convolution(config, input, { dilation: [1, 1], groups: input.shape[0] });
      return withActivation({ kind, tensors: { weight: depthwiseWeight(filters), ...biasOf(bias) } });
    }
    case 'SeparableConv2D': {
      const [filters, points, bias] = weightsOf(layer);
      const dilation = config.dilationRate as Pair;
      const kind = convolution(config, input, { dilation, groups: input.shape[0] });
      const weight = depthwiseWeight(filters);
      const depthwise: Step = {
        kind: { ...kind, bias: false },
        tensors: { weight },
        suffix: '_depthwise',
        channels: weight.shape[0],
      };
      const pointwise: Step = {
        kind: pointwiseConvolution(bias !== undefined),
        tensors: { weight: convolutionWeight(points), ...biasOf(bias) },
      };
      return withActivation(depthwise, pointwise);
    }
    case 'Dense': {
      const [kernel, bias] = weightsOf(layer);
      const weight = transposed(reordered(kernel, order), [1, 0]);
      const tensors = { weight, ...biasOf(bias) };
      if (!ofImages) return withActivation({ kind: { op: 'linear', bias: bias !== undefined }, tensors });
      const points = { shape: [...weight.shape, 1, 1], data: weight.data };
      const kind = pointwiseConvolution(bias !== undefined);
      return withActivation({ kind, tensors: { ...tensors, weight: points } });
    }
    case 'BatchNormalization': {
      requireLastAxis();
      if (ofTokens) throw unsupported('it reads a sequence');
      const weights = weightsOf(layer).map((tensor) => reordered(tensor, order));
      const [mean, variance] = weights.slice(-2);
      const weight = config.scale ? weights[0] : filled(mean, 1);
      const bias = config.center ? weights[weights.length - 3] : filled(mean, 0);
      const tensors = { weight, bias, running_mean: mean, running_var: variance };
      return just({ op: 'batch_norm', eps: config.epsilon as number }, tensors);
    }
    case 'LayerNormalization': {
      requireLastAxis();
      if (!config.scale || !config.center) throw unsupported('it lacks scale or center');
      const [weight, bias] = weightsOf(layer).map((tensor) => reordered(tensor, order));
      return just({ op: 'layer_norm', eps: config.epsilon as number }, { weight, bias });
    }
    case 'Dropout':
      return { steps: [], order };
    case 'PReLU': {
      const [alpha] = weightsOf(layer);
      const shared = alpha.data.length === 1;
      const weight = ofImages ? transposed(alpha, [2, 0, 1]) : reordered(alpha, shared ? undefined : order);
      return just({ op: 'prelu' }, { weight });
    }
    case 'ReLU': {
      const max = config.maxValue as number | null | undefined;
      return just(max ? { op: 'relu', max } : { op: 'relu' });
    }
    case 'LeakyReLU':
      return just({ op: 'leaky_relu', negativeSlope: config.alpha as number });
    case 'ELU':
      return just({ op: 'elu' });
    case 'Softmax':
      requireLastAxis();
      return just({ op: 'softmax' });
    case 'Activation':
      return { steps: activation(), order };
    case 'MaxPooling2D':
      return just({ op: 'max_pool2d', ...windowOf(config, input) });
    case 'AveragePooling2D':
      return just({ op: 'avg_pool2d', ...windowOf(config, input) });
    case 'GlobalAveragePooling2D':
      return just({ op: 'global_avg_pool2d' });
    case 'GlobalMaxPooling2D':
      return just({ op: 'global_max_pool2d' });
    case 'ZeroPadding2D': {
      const [vertical, horizontal] = config.padding as [Pair, Pair];
      return just({ op: 'pad', padding: [...vertical, ...horizontal] });
    }
    case 'Flatten':
      return flattened();
    case 'Reshape': {
      const shape = layer.outputShape.slice(1) as number[];
      if (ofImages && shape.length === 1) return flattened();
      const [features, ...sides] = input.shape;
      if (ofImages && shape.join() === [sides[0] * sides[1], features].join()) return just({ op: 'tokens' });
      if (input.shape.length === 1 && shape.join() === [1, 1, features].join()) {
        if (order) throw unsupported('it reads flattened images');
        return just({ op: 'unflatten' });
      }
      throw unsupported(
        'only features as an image of one pixel, and images as features or tokens, are known',
      );
    }
    case 'Dot': {
      const [first, second] = axesOf(config.axes as number | Pair);
      const sequences = inputs.every(({ shape }) => shape.length === 2);
      if (!sequences || config.normalize || first !== 2)
        throw unsupported('only products over the last axis of a sequence are known');
      return just({ op: 'matmul', transposed: second === 2 });
    }
    case 'GlobalAveragePooling1D':
      if (!ofTokens) throw unsupported('it does not read a sequence');
      return just({ op: 'mean_token' });
    case 'Add':
    case 'Multiply':
    case 'Average':
    case 'Maximum':
    case 'Minimum': {
      const ranks = inputs.some(({ shape }) => shape.length !== input.shape.length);
      if (ranks || !inputs.every((other) => sameOrder(other, input)))
        throw unsupported('its inputs have features of different ranks or orders');
      return just({ op: combinations[layer.getClassName() as keyof typeof combinations] });
    }
    case 'Concatenate':
      requireLastAxis();
      return { steps: [{ kind: { op: 'concat' } }], order: joinedOrder(inputs) };
    default:
      throw unsupported();
  }

  /** One operation that leaves the order of features as it is. */
  function just(kind: Kind, tensors?: Record<string, WeightTensor>): LayerOperations {
    return { steps: [{ kind, tensors }], order };
  }

  function flattened(): LayerOperations {
    return {
      steps: [{ kind: { op: 'flatten' } }],
      order: order ?? (ofImages ? flatteningOrder(input.shape) : undefined),
    };
  }

  function withActivation(...steps: Step[]): LayerOperations {
    return { steps: [...steps, ...activation().map((step) => ({ ...step, suffix: '_activation' }))] };
  }

  function activation(): Step[] {
    const name = (config.activation ?? 'linear') as string;
    if (name === 'linear') return [];
    const kind = activations.get(name);
    if (!kind) throw unsupported(`its activation is ${name}`);
    return [{ kind }];
  }

  function requireLastAxis(): void {
    const axes = [config.axis].flat() as number[];
    if (axes.length !== 1 || ![-1, input.shape.length].includes(axes[0]))
      throw unsupported(`its axis is ${axes.join(', ')}, not -1`);
  }

  function unsupported(why?: string): UserError {
    const has = why ? `: ${why}` : '';
    return new UserError(
      'EXPORT_UNSUPPORTED',
      `layer ${layer.name} (${layer.getClassName()}) cannot be written as safetensors or ONNX${has}`,
    );
  }
}

/** Activations by the names of TensorFlow.js. */
const activations = new Map<string, Kind>([
  ['relu', { op: 'relu' }],
  ['relu6', { op: 'relu', max: 6 }],
  ['softmax', { op: 'softmax' }],
  ['hardSigmoid', { op: 'hard_sigmoid' }],
  ...elementwise.map((op): [string, Kind] => [op, { op }]),
]);

const combinations = {
  Add: 'add',
  Multiply: 'multiply',
  Average: 'average',
  Maximum: 'maximum',
  Minimum: 'minimum',
} as const;

function weightsOf(layer: tf.layers.Layer): WeightTensor[] {
  return layer.weights.map((weight) => {
    const tensor = weight.read();
    return { shape: tensor.shape, data: tensor.dataSync<'float32'>().slice() };
  });
}

function filled({ shape, data }: WeightTensor, value: number): WeightTensor {
  return { shape, data: new Float32Array(data.length).fill(value) };
}

function biasOf(bias: WeightTensor | undefined): Record<string, WeightTensor> {
  return bias ? { bias } : {};
}

/** Axes of a layer of products, from 0 on with the batch, of values with two axes besides. */
function axesOf(axes: number | Pair): Pair {
  const [first, second] = typeof axes === 'number' ? [axes, axes] : axes;
  return [(first + 3) % 3, (second + 3) % 3];
}

function sameOrder(a: Value, b: Value): boolean {
  return a.order?.join() === b.order?.join();
}

/** Order of the features of several inputs, one after another. */
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
