import type * as tf from '../tf/index.js';
import {
  convolutionFilters,
  depthwiseFilters,
  flatteningOrder,
  reorderedBack,
  transposed,
  type WeightTensor,
} from '../models/layouts.js';
import { pytorchPlaces, type PytorchPlace } from '../models/pytorch-names.js';
import type { ModelConfig } from '../models/schema.js';
import { present } from '../util/present.js';

/** One tensor of a network's weights or moving statistics, and where it may come from. */
export interface Target {
  /** Layer and weight, such as `conv1/kernel`: its name in checkpoints. */
  name: string;
  layer: string;
  shape: readonly number[];
  /** Its numbers, to be written. */
  values: Float32Array;
  /** The tensor in PyTorch's layout: `pytorch` by the name in PyTorch's network, where there is one; `own` by this network's. */
  pytorch?: PytorchTensor;
  own: PytorchTensor;
}

/** A tensor of a PyTorch file, and how it becomes one of the network's. */
interface PytorchTensor {
  name: string;
  module: string;
  shape: readonly number[];
  convert(tensor: WeightTensor): Float32Array;
}

/** Names of PyTorch's tensors, by those of TensorFlow.js. */
const suffixes: Readonly<Record<string, string>> = {
  kernel: 'weight',
  depthwise_kernel: 'weight',
  gamma: 'weight',
  alpha: 'weight',
  bias: 'bias',
  beta: 'bias',
  moving_mean: 'running_mean',
  moving_variance: 'running_var',
};

interface Numbers {
  /** Flat weights, in the order of the model's trainable ones. */
  weights: Float32Array;
  /** Flat moving statistics: mean and variance of each batch norm, in the model's order. */
  moving: Float32Array;
}

/** The tensors of a network, as views of its numbers. */
export function targetsOf(
  model: tf.LayersModel,
  config: Pick<ModelConfig, 'name'>,
  { weights, moving }: Numbers,
): Target[] {
  const places = pytorchPlaces(config, model);
  const next = { weights: 0, moving: 0 };
  const cut = (from: 'weights' | 'moving', size: number) =>
    ({ weights, moving })[from].subarray(next[from], (next[from] += size));
  return model.layers.flatMap((layer) => {
    const isMoving = layer.getClassName() === 'BatchNormalization';
    const order = orderOf(layer);
    const own = { module: layer.name };
    const place = places?.get(layer.name);
    const make = (weight: tf.layers.Layer['weights'][number], from: 'weights' | 'moving'): Target => {
      const shape = weight.shape as number[];
      const kind = present(weight.originalName.split('/').at(-1), 'the name of a weight');
      const tensorAt = (at: PytorchPlace) => pytorchTensor(kind, shape, at, order);
      return {
        name: `${layer.name}/${kind}`,
        layer: layer.name,
        shape,
        values: cut(
          from,
          shape.reduce((size, side) => size * side, 1),
        ),
        own: tensorAt(own),
        ...(place ? { pytorch: tensorAt(place) } : {}),
      };
    };
    return [
      ...layer.trainableWeights.map((weight) => make(weight, 'weights')),
      ...(isMoving ? layer.nonTrainableWeights.map((weight) => make(weight, 'moving')) : []),
    ];
  });
}

function pytorchTensor(
  kind: string,
  shape: readonly number[],
  { module, rows, scale = 1 }: PytorchPlace,
  order: Int32Array | undefined,
): PytorchTensor {
  const [from, convert] = layout(kind, shape, order);
  const [, ...others] = from;
  const whole = rows ? [rows.total, ...others] : from;
  return {
    name: `${module}.${suffixes[kind] ?? kind}`,
    module,
    shape: whole,
    convert({ data }) {
      const size = others.reduce((product, side) => product * side, 1);
      const part = rows ? data.subarray(rows.start * size, rows.end * size) : data;
      const values = convert({ shape: from, data: part }).data;
      return scale === 1 ? values : values.map((value) => value * scale);
    },
  };
}

/** PyTorch's shape of a tensor, and how it becomes TensorFlow's. */
function layout(
  kind: string,
  shape: readonly number[],
  order: Int32Array | undefined,
): [shape: readonly number[], convert: (tensor: WeightTensor) => WeightTensor] {
  const [a = 1, b = 1, c = 1, d = 1] = shape;
  if (kind === 'depthwise_kernel') return [[c * d, 1, a, b], (tensor) => depthwiseFilters(tensor, d)];
  if (kind === 'kernel' && shape.length === 4) return [[d, c, a, b], convolutionFilters];
  if (kind === 'kernel' && shape.length === 2)
    return [
      [b, a],
      (tensor) => {
        const kernel = transposed(tensor, [1, 0]);
        return order ? reorderedBack(kernel, order) : kernel;
      },
    ];
  if (kind === 'alpha' && shape.every((side) => side === 1)) return [[1], (tensor) => tensor];
  return [shape, (tensor) => tensor];
}

/** How a dense layer's inputs stood where an image was flattened with channels first. */
function orderOf(layer: tf.layers.Layer): Int32Array | undefined {
  if (layer.getClassName() !== 'Dense') return undefined;
  for (let at: tf.layers.Layer | undefined = layer; at; at = at.inboundNodes[0]?.inboundLayers[0]) {
    if (at !== layer && at.getClassName() === 'Dense') return undefined;
    if (at.getClassName() !== 'Flatten') continue;
    const [height = 1, width = 1, channels = 1] = (at.inboundNodes[0]?.inputShapes[0] as number[]).slice(1);
    return flatteningOrder([channels, height, width]);
  }
  return undefined;
}
