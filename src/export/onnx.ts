import { create, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, type NodeProto, type TensorProto } from 'onnx-buf';
import { UserError } from '../util/errors.js';
import type { ExportedFile } from './files.js';
import { batchOf, floats, integers, node } from './onnx-messages.js';
import type { Network, Operation } from './operations.js';
import type { Border } from './same-padding.js';

/** ONNX 1.12: old enough for every runtime of today. */
const irVersion = 8n;
const opset = 17n;

/** Most bytes of a protocol buffer. */
const limitBytes = 2 ** 31 - 1;

/** Smaller norms are replaced by it, so that features without a direction have cosine 0. */
const smallestNorm = 1e-12;

/**
 * A network as an ONNX model: `images` [batch, channels, height, width] to the name of the last operation, [batch,
 * classes].
 *
 * @throws UserError `EXPORT_TOO_LARGE` for weights of 2 GB and more
 */
export function onnxFile(name: string, network: Network): ExportedFile {
  const { inputShape, operations, tensors } = network;
  const bytes = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  if (bytes > limitBytes - 2 ** 24) {
    throw new UserError(
      'EXPORT_TOO_LARGE',
      `the weights are ${bytes.toLocaleString('en')} bytes, an ONNX file holds 2 GB: use --format safetensors`,
    );
  }
  const initializer = [...tensors].map(([key, { shape, data }]) => floats(key, shape, data));
  const nodes = operations.flatMap((operation) => nodesOf(operation, initializer));
  const output = operations[operations.length - 1];
  const model = create(ModelProtoSchema, {
    irVersion,
    opsetImport: [{ version: opset }],
    producerName: 'pod-dist',
    graph: {
      name: 'classifier',
      node: nodes,
      initializer,
      input: [batchOf('images', inputShape)],
      output: [batchOf(output.name, output.shape)],
    },
  });
  return { name, parts: [toBinary(ModelProtoSchema, model)] };
}

/** The nodes of an operation; their constants are added to `constants`. */
function nodesOf(operation: Operation, constants: TensorProto[]): NodeProto[] {
  const { name, inputs } = operation;
  const weights = (...keys: string[]) => keys.map((key) => `${name}.${key}`);
  const bias = 'bias' in operation && operation.bias ? weights('bias') : [];
  const axis = operation.shape.length === 2 ? 2 : 1;
  switch (operation.op) {
    case 'conv2d': {
      const { stride: strides, dilation: dilations, groups: group } = operation;
      const attributes = { strides, dilations, group, pads: padsOf(operation.padding) };
      return [node('Conv', [...inputs, ...weights('weight'), ...bias], name, attributes)];
    }
    case 'linear':
      if (operation.shape.length === 2) return linearOfTokens();
      return [node('Gemm', [...inputs, ...weights('weight'), ...bias], name, { transB: 1 })];
    case 'batch_norm': {
      const all = [...inputs, ...weights('weight', 'bias', 'running_mean', 'running_var')];
      return [node('BatchNormalization', all, name, { epsilon: { float: operation.eps } })];
    }
    case 'relu':
      if (operation.max === undefined) return [node('Relu', inputs, name)];
      return [node('Clip', [...inputs, scalar('min', 0), scalar('max', operation.max)], name)];
    case 'leaky_relu':
      return [node('LeakyRelu', inputs, name, { alpha: { float: operation.negativeSlope } })];
    case 'prelu':
      return [node('PRelu', [...inputs, ...weights('weight')], name)];
    case 'elu':
      return [node('Elu', inputs, name)];
    case 'sigmoid':
      return [node('Sigmoid', inputs, name)];
    case 'hard_sigmoid':
      return [node('HardSigmoid', inputs, name, { alpha: { float: 0.2 }, beta: { float: 0.5 } })];
    case 'tanh':
      return [node('Tanh', inputs, name)];
    case 'selu':
      return [node('Selu', inputs, name)];
    case 'softplus':
      return [node('Softplus', inputs, name)];
    case 'softsign':
      return [node('Softsign', inputs, name)];
    case 'swish':
      return [node('Sigmoid', inputs, part('gate')), node('Mul', [...inputs, part('gate')], name)];
    case 'mish':
      return [
        node('Softplus', inputs, part('softplus')),
        node('Tanh', [part('softplus')], part('gate')),
        node('Mul', [...inputs, part('gate')], name),
      ];
    case 'gelu':
      return [
        node('Mul', [...inputs, scalar('scale', Math.SQRT1_2)], part('scaled')),
        node('Erf', [part('scaled')], part('erf')),
        node('Add', [part('erf'), scalar('one', 1)], part('sum')),
        node('Mul', [part('sum'), scalar('half', 0.5)], part('gate')),
        node('Mul', [...inputs, part('gate')], name),
      ];
    case 'softmax':
      return [node('Softmax', inputs, name, { axis })];
    case 'layer_norm': {
      const attributes = { axis: -1, epsilon: { float: operation.eps } };
      const parameters = weights('weight', 'bias');
      if (operation.shape.length < 3)
        return [node('LayerNormalization', [...inputs, ...parameters], name, attributes)];
      return [
        node('Transpose', inputs, part('last'), { perm: [0, 2, 3, 1] }),
        node('LayerNormalization', [part('last'), ...parameters], part('normed'), attributes),
        node('Transpose', [part('normed')], name, { perm: [0, 3, 1, 2] }),
      ];
    }
    case 'max_pool2d':
    case 'avg_pool2d': {
      const { kernel, stride: strides, padding } = operation;
      const type = operation.op === 'max_pool2d' ? 'MaxPool' : 'AveragePool';
      return [node(type, inputs, name, { kernel_shape: kernel, strides, pads: padsOf(padding) })];
    }
    case 'global_avg_pool2d':
    case 'global_max_pool2d': {
      const type = operation.op === 'global_avg_pool2d' ? 'GlobalAveragePool' : 'GlobalMaxPool';
      return [node(type, inputs, part('pooled')), node('Flatten', [part('pooled')], name)];
    }
    case 'pad': {
      const [top, left, bottom, right] = padsOf(operation.padding);
      const pads = integers(part('pads'), [0, 0, top, left, 0, 0, bottom, right]);
      constants.push(pads);
      return [node('Pad', [...inputs, pads.name], name)];
    }
    case 'flatten':
      return [node('Flatten', inputs, name)];
    case 'unflatten': {
      const sizes = integers(part('sizes'), [0, -1, 1, 1]);
      constants.push(sizes);
      return [node('Reshape', [...inputs, sizes.name], name)];
    }
    case 'add':
      return [node('Sum', inputs, name)];
    case 'average':
      return [node('Mean', inputs, name)];
    case 'maximum':
      return [node('Max', inputs, name)];
    case 'minimum':
      return [node('Min', inputs, name)];
    case 'multiply':
      return inputs.slice(1).map((input, index) => {
        const [first, last] = [index === 0, index === inputs.length - 2];
        return node(
          'Mul',
          [first ? inputs[0] : part(`product${index}`), input],
          last ? name : part(`product${index + 1}`),
        );
      });
    case 'concat':
      return [node('Concat', inputs, name, { axis })];
    case 'tokens': {
      const sizes = integers(part('sizes'), [0, 0, -1]);
      constants.push(sizes);
      return [
        node('Reshape', [...inputs, sizes.name], part('places')),
        node('Transpose', [part('places')], name, { perm: [0, 2, 1] }),
      ];
    }
    case 'matmul': {
      if (!operation.transposed) return [node('MatMul', inputs, name)];
      const [left, right] = inputs;
      return [
        node('Transpose', [right], part('transposed'), { perm: [0, 2, 1] }),
        node('MatMul', [left, part('transposed')], name),
      ];
    }
    case 'mean_token':
      return [node('ReduceMean', inputs, name, { axes: [1], keepdims: 0 })];
    case 'normalize': {
      const [norm, divisor] = [part('norm'), part('divisor')];
      return [
        node('ReduceL2', inputs, norm, { axes: [1], keepdims: 1 }),
        node('Max', [norm, scalar('smallest', smallestNorm)], divisor),
        node('Div', [...inputs, divisor], name),
      ];
    }
  }

  /** x W^T + b of each token. */
  function linearOfTokens(): NodeProto[] {
    const product = bias.length > 0 ? part('product') : name;
    const sum = bias.length > 0 ? [node('Add', [product, ...bias], name)] : [];
    return [
      node('Transpose', weights('weight'), part('transposed'), { perm: [1, 0] }),
      node('MatMul', [...inputs, part('transposed')], product),
      ...sum,
    ];
  }

  /** Name of a value or constant of this operation's own. */
  function part(key: string): string {
    return `${name}.${key}`;
  }

  function scalar(key: string, value: number): string {
    const constant = floats(part(key), [], Float32Array.of(value));
    constants.push(constant);
    return constant.name;
  }
}

/** Padding at the beginnings of rows and columns, then at their ends. */
function padsOf([top, bottom, left, right]: Border): number[] {
  return [top, left, bottom, right];
}
