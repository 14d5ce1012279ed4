import * as tf from '@tensorflow/tfjs';
import { addRelu, convolve, type Activation, type Convolution } from '../backend/operations.js';
import { PodDistError } from '../errors.js';

/** Computes one layer's output, and what follows it, in a training pass in place of the layer's own `call`. */
export type LayerOverride = (input: tf.Tensor, activation: Activation) => tf.Tensor;

interface Call {
  layer: tf.layers.Layer;
  inputs: number[];
  /** Class of the layer. */
  kind: string;
  /** Set for plain convolutions. */
  convolution?: Omit<Convolution, 'activation'>;
  /** Of the ReLU that alone follows and is computed with this layer. */
  activation: Activation;
  /** This layer's work is done by the call of its input. */
  merged: boolean;
}

/**
 * A network as a flat list of layer calls in topological order.
 *
 * `tf.LayersModel.apply` resolves the graph, checks shapes and opens scopes at every call; here that is done once.
 * A convolution, batch norm or sum and the ReLU that alone follows it are one operation; the gradient of a convolution
 * leaves out what nobody asks for (the images'). A training pass may replace single layers (batch norm over all ranks)
 * without the model knowing.
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
      const kind = layer.getClassName();
      const convolution = describeConvolution(layer);
      this.calls.push({ layer, inputs, kind, convolution, activation: 'linear', merged: false });
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
    for (const call of this.calls) {
      const inputs = call.inputs.map((slot) => values[slot]);
      if (inputs.length === 0) values.push(images);
      else values.push(call.merged ? inputs[0] : compute(call, inputs, overrides));
    }
    return values[values.length - 1] as tf.Tensor2D;
  }

  private mergeActivations(): void {
    for (const call of this.calls) {
      const before = this.calls[call.inputs[0]];
      if (!before || !takesRelu(before) || call.kind !== 'ReLU' || call.layer.getConfig().maxValue) continue;
      const readers = this.calls.filter(({ inputs }) => inputs.includes(call.inputs[0]));
      if (readers.length > 1) continue;
      before.activation = 'relu';
      call.merged = true;
    }
  }
}

function takesRelu({ kind, convolution, inputs }: Call): boolean {
  return (
    convolution !== undefined || kind === 'BatchNormalization' || (kind === 'Add' && inputs.length === 2)
  );
}

function compute(
  { layer, kind, convolution, activation }: Call,
  inputs: tf.Tensor[],
  overrides?: ReadonlyMap<string, LayerOverride>,
): tf.Tensor {
  const [first, second] = inputs;
  const override = overrides?.get(layer.name);
  if (override) return override(first, activation);
  if (convolution) {
    const [filter, bias] = layer.weights.map((weight) => weight.read());
    return convolve(first as tf.Tensor4D, filter as tf.Tensor4D, bias, { ...convolution, activation });
  }
  const rectified = activation === 'relu';
  if (rectified && kind === 'Add' && tf.util.arraysEqual(first.shape, second.shape))
    return addRelu(first, second);
  const result = layer.call(inputs.length === 1 ? first : inputs, { training: overrides !== undefined });
  const output = Array.isArray(result) ? result[0] : result;
  return rectified ? tf.relu(output) : output;
}

/** What a plain 2D convolution does; undefined for every other layer, dilated ones included. */
function describeConvolution(layer: tf.layers.Layer): Omit<Convolution, 'activation'> | undefined {
  if (layer.getClassName() !== 'Conv2D') return undefined;
  const config = layer.getConfig();
  const { strides, padding, dilationRate, dataFormat, activation } = config as Record<string, unknown>;
  const dilated = (dilationRate as number[]).some((rate) => rate !== 1);
  if (dataFormat !== 'channelsLast' || activation !== 'linear' || dilated) return undefined;
  return {
    strides: strides as [number, number],
    pad: padding as 'same' | 'valid',
    dilations: [1, 1],
  };
}
