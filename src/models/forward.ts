import * as tf from '../tf/index.js';
import type { Activation } from '../backend/activation.js';
import { addThen, convolve, type Convolution } from '../backend/operations.js';
import { PodDistError } from '../util/errors.js';
import { cut, eachWithOwnWeights, join, type Parts } from './parts.js';

/**
 * Computes one layer's output in a training pass, in place of the layer's own `call`, then adds the residual and
 * applies the activation that follow the layer.
 */
export type LayerOverride = (input: tf.Tensor, activation: Activation, residual?: tf.Tensor) => tf.Tensor;

interface Call {
  layer: tf.layers.Layer;
  inputs: number[];
  /** Class of the layer. */
  kind: string;
  /** Settings of a plain convolution; undefined for other layers. */
  convolution?: Omit<Convolution, 'activation'>;
  /** Activation that is computed with this layer: a ReLU that alone follows it. */
  activation: Activation;
  /** For a sum: the batch norm whose output only this sum reads, and which is computed with it. */
  norm?: tf.layers.Layer;
  /** Whether another call does this layer's work; its value is then its input. */
  merged: boolean;
}

/**
 * A network as a flat list of layer calls in topological order.
 *
 * `tf.LayersModel.apply` resolves the graph, checks shapes and opens scopes at every call; here that is done once. A
 * convolution, batch norm or sum and the ReLU that alone follows it are one operation, and so are a batch norm and the
 * sum that alone follows it; the gradient of a convolution is computed only for inputs that need one (not the images).
 * A training pass may replace single layers (batch norm over all ranks) without the model knowing.
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
    this.mergeNorms();
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

  /**
   * Features of the parts of a batch, each computed by itself, in a training pass. Only overrides see all images, as
   * one tensor of one part after another.
   */
  runParts(images: Parts<tf.Tensor4D>, overrides: ReadonlyMap<string, LayerOverride>): Parts<tf.Tensor2D> {
    const values: Parts[] = [];
    for (const call of this.calls) {
      const inputs = call.inputs.map((slot) => values[slot]);
      if (inputs.length === 0) values.push(images);
      else values.push(call.merged ? inputs[0] : computeParts(call, inputs, overrides));
    }
    return values[values.length - 1] as Parts<tf.Tensor2D>;
  }

  private mergeActivations(): void {
    for (const call of this.calls) {
      const before = this.calls[call.inputs[0]];
      if (!before || !takesRelu(before) || call.kind !== 'ReLU' || call.layer.getConfig().maxValue) continue;
      if (!this.isReadOnce(call.inputs[0])) continue;
      before.activation = 'relu';
      call.merged = true;
    }
  }

  /** Merges a batch norm that only a sum reads into the sum, whose first input becomes the batch norm. */
  private mergeNorms(): void {
    for (const call of this.calls) {
      const { kind, inputs, layer } = call;
      if (kind !== 'Add' || inputs.length !== 2) continue;
      const [left, right] = layer.inboundNodes[0].inputShapes as number[][];
      if (!tf.util.arraysEqual(left, right)) continue;
      const slot = inputs.find((input) => {
        const { kind, activation } = this.calls[input];
        return kind === 'BatchNormalization' && activation === 'linear' && this.isReadOnce(input);
      });
      if (slot === undefined) continue;
      call.norm = this.calls[slot].layer;
      this.calls[slot].merged = true;
      if (slot !== inputs[0]) call.inputs = [inputs[1], inputs[0]];
    }
  }

  private isReadOnce(slot: number): boolean {
    return this.calls.flatMap(({ inputs }) => inputs).filter((input) => input === slot).length === 1;
  }
}

function takesRelu({ kind, convolution, inputs }: Call): boolean {
  return (
    convolution !== undefined || kind === 'BatchNormalization' || (kind === 'Add' && inputs.length === 2)
  );
}

function compute(
  { layer, kind, convolution, activation, norm }: Call,
  inputs: tf.Tensor[],
  overrides?: ReadonlyMap<string, LayerOverride>,
): tf.Tensor {
  const [first, second] = inputs;
  const override = overrides?.get((norm ?? layer).name);
  if (override) return override(first, activation, norm && second);
  if (norm) return addThen(activation, norm.call(first, {}) as tf.Tensor, second);
  if (convolution) {
    const [filter, bias] = layer.weights.map((weight) => weight.read());
    return convolve(first as tf.Tensor4D, filter as tf.Tensor4D, bias, { ...convolution, activation });
  }
  const rectified = activation === 'relu';
  if (rectified && kind === 'Add' && tf.util.arraysEqual(first.shape, second.shape))
    return addThen(activation, first, second);
  const result = layer.call(inputs.length === 1 ? first : inputs, { training: overrides !== undefined });
  const output = Array.isArray(result) ? result[0] : result;
  return rectified ? tf.relu(output) : output;
}

function computeParts(
  call: Call,
  inputs: readonly Parts[],
  overrides: ReadonlyMap<string, LayerOverride>,
): Parts {
  if (overrides.has((call.norm ?? call.layer).name)) {
    const whole = inputs.map((parts) => join(parts) as tf.Tensor);
    return cut(compute(call, whole, overrides), inputs[0]);
  }
  const present = inputs[0].map((part) => part !== undefined);
  return eachWithOwnWeights(call.layer, present, (part) => {
    const own = inputs.map((parts) => parts[part] as tf.Tensor);
    return compute(call, own, overrides);
  });
}

/** Settings of a plain 2D convolution; undefined for every other layer, dilated ones included. */
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
