import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { networkOf } from '../../src/export/network.js';
import { safetensorsFile } from '../../src/export/safetensors.js';

const head = { scores: 'cosines', weight: Float32Array.of(1, 0, 0, 1), classes: 2, dim: 2 } as const;

function backbone(shape: number[], ...layers: tf.layers.Layer[]): tf.LayersModel {
  const input = tf.input({ shape });
  const output = layers.reduce((value, layer) => layer.apply(value) as tf.SymbolicTensor, input);
  return tf.model({ inputs: input, outputs: output });
}

describe('networkOf', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it.each([
    ['permute1 (Permute)', tf.layers.permute({ name: 'permute1', dims: [2, 1, 3] })],
    ['new1 (Activation)', tf.layers.activation({ name: 'new1', activation: 'gelu_new' })],
    ['norm1 (LayerNormalization)', tf.layers.layerNormalization({ name: 'norm1', axis: [1, 2] })],
    ['turned1 (Reshape)', tf.layers.reshape({ name: 'turned1', targetShape: [1, 4, 2] })],
    ['bn1 (BatchNormalization)', tf.layers.batchNormalization({ name: 'bn1', axis: 1 })],
    [
      'first1 (Conv2D)',
      tf.layers.conv2d({ name: 'first1', filters: 2, kernelSize: 1, dataFormat: 'channelsFirst' }),
    ],
  ])('rejects layer %s, which has no counterpart', (name, layer) => {
    const model = backbone([2, 2, 2], layer, tf.layers.globalAveragePooling2d({}));
    expect(() => networkOf(model, head)).toThrow(
      expect.objectContaining({
        code: 'EXPORT_UNSUPPORTED',
        message: expect.stringContaining(`layer ${name} `),
      }),
    );
  });

  it('rejects a layer that is used twice', () => {
    const twice = tf.layers.dense({ name: 'twice', units: 2 });
    expect(() =>
      networkOf(backbone([2, 2, 2], tf.layers.flatten(), tf.layers.dense({ units: 2 }), twice, twice), head),
    ).toThrow(
      expect.objectContaining({
        code: 'EXPORT_UNSUPPORTED',
        message: expect.stringContaining('layer twice (Dense)'),
      }),
    );
  });

  it('rejects flattened features as output, whose order differs in PyTorch', () => {
    const model = backbone([1, 2, 2], tf.layers.flatten({ name: 'flat' }));
    expect(() => networkOf(model, { ...head, dim: 4, weight: new Float32Array(8) })).toThrow(
      expect.objectContaining({
        code: 'EXPORT_UNSUPPORTED',
        message: expect.stringContaining('layer flat '),
      }),
    );
  });

  it("gives weights the layout of PyTorch's modules", () => {
    const filters = tf.tensor4d(
      Array.from({ length: 12 }, (_, index) => index),
      [2, 1, 3, 2],
    );
    const model = backbone(
      [3, 1, 3],
      tf.layers.conv2d({ name: 'conv', filters: 2, kernelSize: [2, 1], useBias: false, weights: [filters] }),
      tf.layers.flatten({ name: 'flat' }),
      tf.layers.dense({
        name: 'features',
        units: 2,
        weights: [tf.tensor2d([0, 1, 2, 3, 4, 5, 6, 7], [4, 2]), tf.tensor1d([8, 9])],
      }),
    );
    const { tensors, operations } = networkOf(model, head);
    expect(operations.map(({ name }) => name)).toEqual([
      'conv',
      'flat',
      'features',
      'unit_features',
      'cosines',
    ]);
    // [out, in, height, width]: the value was 6 row + 2 in + out.
    expect(tensors.get('conv.weight')).toEqual({
      shape: [2, 3, 2, 1],
      data: Float32Array.of(0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11),
    });
    // TensorFlow flattens to (row 0: channels 0, 1), (row 1: channels 0, 1); PyTorch to channel 0 first.
    expect(tensors.get('features.weight')).toEqual({
      shape: [2, 4],
      data: Float32Array.of(0, 4, 2, 6, 1, 5, 3, 7),
    });
    expect(tensors.get('features.bias')?.data).toEqual(Float32Array.of(8, 9));
    expect(tensors.get('cosines.weight')).toEqual({ shape: [2, 2], data: head.weight });
  });
});

describe('safetensorsFile', () => {
  it('writes a header with the place of each tensor, padded to a multiple of 8 bytes', () => {
    const tensors = new Map([
      ['a', { shape: [1], data: Float32Array.of(1.5) }],
      ['bü', { shape: [2, 1], data: Float32Array.of(2.5, -3) }],
    ]);
    const bytes = Buffer.concat(safetensorsFile('model.safetensors', tensors).parts);
    const length = Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as object;
    expect(header).toEqual({
      __metadata__: { format: 'pt' },
      a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
      bü: { dtype: 'F32', shape: [2, 1], data_offsets: [4, 12] },
    });
    expect((8 + length) % 8).toBe(0);
    expect(bytes.length).toBe(8 + length + 12);
    expect([0, 4, 8].map((at) => bytes.readFloatLE(8 + length + at))).toEqual([1.5, 2.5, -3]);
  });
});
