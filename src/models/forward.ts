import type * as tf from '@tensorflow/tfjs';
import { PodDistError } from '../errors.js';

/** Computes one layer's output in a training pass in place of the layer's own `call`. */
export type LayerOverride = (input: tf.Tensor) => tf.Tensor;

/**
 * A network as a flat list of layer calls in topological order.
 *
 * `tf.LayersModel.apply` resolves the graph, checks shapes and opens scopes at every call; here that is done once.
 * A training pass may replace single layers (batch norm over all ranks) without the model knowing.
 */
export class ForwardPass {
  private readonly calls: { layer: tf.layers.Layer; inputs: number[] }[] = [];

  constructor(readonly model: tf.LayersModel) {
    const slots = new Map<string, number>();
    for (const layer of model.layers) {
      const nodes = layer.inboundNodes;
      if (nodes.length !== 1) {
        throw new PodDistError(
          'MODEL_UNSUPPORTED',
          `layer ${layer.name} is used ${nodes.length} times; layers must be used once`,
        );
      }
      const inputs = nodes[0].inboundLayers.map((inbound) => {
        const slot = slots.get(inbound.name);
        if (slot === undefined)
          throw new PodDistError('MODEL_UNSUPPORTED', `layer ${layer.name} comes before its input`);
        return slot;
      });
      slots.set(layer.name, slots.size);
      this.calls.push({ layer, inputs });
    }
    const output = model.outputLayers[0].name;
    if (model.outputLayers.length !== 1 || slots.get(output) !== this.calls.length - 1) {
      throw new PodDistError(
        'MODEL_UNSUPPORTED',
        `model ${model.name} must have one output, made by its last layer`,
      );
    }
  }

  /** Features [b, dim] of images [b, height, width, channels]; call it inside `tf.tidy` or a gradient tape. */
  run(images: tf.Tensor4D, overrides?: ReadonlyMap<string, LayerOverride>): tf.Tensor2D {
    const values: tf.Tensor[] = [];
    for (const { layer, inputs } of this.calls) {
      if (inputs.length === 0) {
        values.push(images);
        continue;
      }
      const override = overrides?.get(layer.name);
      if (override) {
        values.push(override(values[inputs[0]]));
        continue;
      }
      const input = inputs.length === 1 ? values[inputs[0]] : inputs.map((slot) => values[slot]);
      const output = layer.call(input, { training: overrides !== undefined });
      values.push(Array.isArray(output) ? output[0] : output);
    }
    return values[values.length - 1] as tf.Tensor2D;
  }
}
