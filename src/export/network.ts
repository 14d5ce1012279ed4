import type * as tf from '../tf/index.js';
import { UserError } from '../util/errors.js';
import type { Head } from './head.js';
import { layerOperations, type Value } from './layer-operations.js';
import type { WeightTensor } from '../models/layouts.js';
import type { Kind, Network } from './operations.js';

/**
 * A trained network, from images to scores, as operations with channels first: the backbone's layers one after
 * another, `same` padding spelt out, then the head.
 *
 * Features that were flattened stand in another order than in TensorFlow.js; the weights that read them are permuted
 * instead of the values.
 *
 * @throws UserError `EXPORT_UNSUPPORTED` naming a layer that no operation computes
 */
export function networkOf(backbone: tf.LayersModel, head: Head): Network {
  const [height, width, channels] = backbone.inputs[0].shape.slice(1) as number[];
  const network: Network = { inputShape: [channels, height, width], operations: [], tensors: new Map() };
  const values = new Map<string, Value>();
  let last: Value = { name: 'images', shape: [channels, height, width] };

  const names = new Set<string>(['images', 'unit_features', 'cosines', 'logits', 'probabilities']);

  function append(
    name: string,
    { kind, inputs, shape }: { kind: Kind; inputs: readonly Value[]; shape: number[] },
    tensors: Record<string, WeightTensor> = {},
  ): Value {
    network.operations.push({ name, ...kind, inputs: inputs.map((value) => value.name), shape });
    for (const [key, tensor] of Object.entries(tensors)) network.tensors.set(`${name}.${key}`, tensor);
    return { name, shape };
  }

  /** A name of its own for an operation, without dots, which PyTorch's modules cannot have. */
  function free(wanted: string): string {
    let name = wanted.replaceAll('.', '_');
    while (names.has(name)) name += '_';
    names.add(name);
    return name;
  }

  for (const layer of backbone.layers) {
    const inputs = layer.inboundNodes[0].inboundLayers.map(({ name }) => values.get(name) as Value);
    if (inputs.length > 0) {
      const { steps, order } = layerOperations(layer, inputs);
      const shape = channelsFirst(layer.outputShape as number[]);
      const [, ...sides] = shape;
      [last] = inputs;
      steps.forEach(({ kind, tensors, suffix = '', channels }, index) => {
        const name = free(layer.name + suffix);
        const value = { kind, inputs: index === 0 ? inputs : [last], shape };
        last = append(
          name,
          channels === undefined ? value : { ...value, shape: [channels, ...sides] },
          tensors,
        );
      });
      last = { ...last, order };
    }
    values.set(layer.name, last);
  }
  if (last.order) {
    throw new UserError(
      'EXPORT_UNSUPPORTED',
      `layer ${last.name} leaves features in another order with channels first: end the backbone with a dense layer`,
    );
  }

  const { scores, weight, bias, classes, dim } = head;
  const cosines = scores === 'cosines';
  if (cosines) last = append('unit_features', { kind: { op: 'normalize' }, inputs: [last], shape: [dim] });
  const tensors: Record<string, WeightTensor> = { weight: { shape: [classes, dim], data: weight } };
  if (bias) tensors.bias = { shape: [classes], data: bias };
  const linear = { op: 'linear', bias: bias !== undefined } as const;
  last = append(cosines ? scores : 'logits', { kind: linear, inputs: [last], shape: [classes] }, tensors);
  if (!cosines) append(scores, { kind: { op: 'softmax' }, inputs: [last], shape: [classes] });
  return network;
}

/** [b, height, width, channels] as [channels, height, width]; of other values all but the batch. */
function channelsFirst(shape: readonly number[]): number[] {
  const sizes = shape.slice(1);
  return sizes.length === 3 ? [sizes[2], sizes[0], sizes[1]] : sizes;
}
