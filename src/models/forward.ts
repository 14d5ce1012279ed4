import type * as tf from '@tensorflow/tfjs';
import { convolve, type Convolution } from '../backend/operations.js';
import { PodDistError } from '../errors.js';

/** Computes one layer's output in a training pass in place of the layer's own `call`. */
export type LayerOverride = (input: tf.Tensor) => tf.Tensor;

interface Call {
  layer: tf.layers.Layer;
  inputs: number[];
  /** Set for convolutions, which the backend computes with what follows them. */
  convolution?: Convolution;
  /** This layer's work is done by the call of its input. */
  merged: boolean;
}

/**
 * A network as a flat list of layer calls in topological order.
 *
 * `tf.LayersModel.apply` resolves the graph, checks shapes and opens scopes at every call; here that is done once.
 * A convolution and the ReLU that alone follows it are one operation, whose gradient leaves out what nobody asks for
 * (the images'). A training pass may replace single layers (batch norm over all ranks) without the model knowing.
 */
export class ForwardPass {
  private readonly calls: Call[] = [];

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
      this.calls.push({ layer, inputs, convolution: describeConvolution(layer), merged: false });
    }
    const output = model.outputLayers[0].name;
    if (model.outputLayers.length !== 1 || slots.get(output) !== this.calls.length - 1) {
      throw new PodDistError(
        'MODEL_UNSUPPORTED',
        `model ${model.name} must have one output, made by its last layer`,
      );
    }
    this.mergeActivations();
  }

  /** Features [b, dim] of images [b, height, width, channels]; call it inside `tf.tidy` or a gradient tape. */
  run(images: tf.Tensor4D, overrides?: ReadonlyMap<string, LayerOverride>): tf.Tensor2D {
    const values: tf.Tensor[] = [];
    for (const { layer, inputs, convolution, merged } of this.calls) {
      const [first] = inputs;
      const override = overrides?.get(layer.name);
      if (first === undefined) values.push(images);
      else if (merged) values.push(values[first]);
      else if (override) values.push(override(values[first]));
      else if (convolution) {
        const [filter, bias] = layer.weights.map((weight) => weight.read());
        values.push(convolve(values[first] as tf.Tensor4D, filter as tf.Tensor4D, bias, convolution));
      } else {
        const input = inputs.length === 1 ? values[first] : inputs.map((slot) => values[slot]);
        const output = layer.call(input, { training: overrides !== undefined });
        values.push(Array.isArray(output) ? output[0] : output);
      }
    }
    return values[values.length - 1] as tf.Tensor2D;
  }

  private mergeActivations(): void {
    for (const call of this.calls) {
      const before = this.calls[call.inputs[0]];
      if (!before?.convolution || call.layer.getClassName() !== 'ReLU' || call.layer.getConfig().maxValue)
        continue;
      const readers = this.calls.filter(({ inputs }) => inputs.includes(call.inputs[0]));
      if (readers.length > 1) continue;
      before.convolution.activation = 'relu';
      call.merged = true;
    }
  }
}

/** What a plain 2D convolution does; undefined for every other layer, dilated ones included. */
function describeConvolution(layer: tf.layers.Layer): Convolution | undefined {
  if (layer.getClassName() !== 'Conv2D') return undefined;
  const config = layer.getConfig();
  const { strides, padding, dilationRate, dataFormat, activation } = config as Record<string, unknown>;
  const dilated = (dilationRate as number[]).some((rate) => rate !== 1);
  if (dataFormat !== 'channelsLast' || activation !== 'linear' || dilated) return undefined;
  return {
    strides: strides as [number, number],
    pad: padding as 'same' | 'valid',
    dilations: [1, 1],
    activation: 'linear',
  };
}
