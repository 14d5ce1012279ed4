import * as tf from '../../src/tf/index.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { modelNames } from '../../src/config/schema.js';
import { writeExportFolder, type ExportedFile } from '../../src/export/files.js';
import { networkOf } from '../../src/export/network.js';
import { onnxFile } from '../../src/export/onnx.js';
import { pytorchFiles } from '../../src/export/pytorch.js';
import { tfjsFiles } from '../../src/export/tfjs.js';
import { onnxScores } from './onnx-peer.js';
import { hasPytorch, PytorchPeer } from './pytorch-peer.js';
import { RandomNetwork } from './random-network.js';
import { largestDifference, rowsOf } from './trained.js';
import { long, needs } from '../needs.js';

type Network = [name: string, side: number, settings: object];

/** Networks to export; odd sides make the borders of `same` padding differ between layers. */
const networks: Network[] = [
  ['small-cnn', 9, { channels: [4, 8, 8], strides: [1, 2, 3], batchNorm: true }],
  ['small-cnn', 8, { channels: [4, 8], strides: [2, 2], padding: 'pytorch' }],
  ['resnet9', 33, { width: 4 }],
  ['resnet20', 9, {}],
  ['resnet18', 8, {}],
  ['resnet50', 8, { stem: 'imagenet' }],
  ['resnet-face18', 16, { affine: false }],
  ['vgg16-bn', 9, { activation: 'prelu' }],
  ['densenet121', 9, {}],
  ['mobilenetv2', 9, {}],
  ['vit-tiny', 6, { patch: 3 }],
];

/** More of the same blocks, and other stems before them. */
const larger: Network[] = [
  ['resnet56', 8, {}],
  ['resnet34', 9, { stem: 'imagenet', padding: 'pytorch' }],
  ['resnet101', 9, { stem: 'imagenet' }],
  ['densenet121', 33, { stem: 'imagenet' }],
  ['mobilenetv2', 20, { stem: 'imagenet', padding: 'pytorch' }],
];

const pytorchHere = hasPytorch();

describe('exported networks', () => {
  let place: string;
  let pytorch: PytorchPeer | undefined;
  beforeAll(() => {
    place = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    if (pytorchHere) pytorch = new PytorchPeer();
  });
  afterAll(async () => {
    await pytorch?.close();
    rmSync(place, { recursive: true });
  });

  it('cover every backbone', () => {
    // ResNet-152 is ResNet-101 with more of the same blocks.
    const others = ['resnet152'];
    const named = [...networks, ...larger].map(([name]) => name);
    expect(new Set([...named, ...others])).toEqual(new Set(modelNames));
  });

  const generated = ([name, side, settings]: Network) =>
    [
      `${name} ${JSON.stringify(settings)} ${side}x${side}`,
      () => RandomNetwork.ofModel({ name, ...settings }, side),
    ] as const;

  describe.each([
    ...networks.map(generated),
    [
      'a backbone with uneven kernels, borders and flatten orders',
      () => new RandomNetwork(unevenLayers()),
    ] as const,
    ['a backbone with gates, norms and many activations', () => new RandomNetwork(gatedLayers())] as const,
  ])('%s', describeNetwork);

  describe.each(larger.map(generated))('%s', long, describeNetwork);

  function describeNetwork(_: string, make: () => RandomNetwork | Promise<RandomNetwork>): void {
    let random: RandomNetwork;
    beforeAll(async () => {
      await initBackend('wasm');
      random = await make();
    });
    afterAll(() => random.backbone.dispose());

    it('gives different cosines for different images', () => {
      const [first, second] = random.cosines;
      expect(largestDifference([first], [second])).toBeGreaterThan(1e-3);
    });

    it('gives the same cosines in TensorFlow.js', async () => {
      const files = await tfjsFiles(random.backbone, random.head);
      const scores = await tfjsScores(files, random);
      expect(largestDifference(scores, random.cosines)).toBeLessThan(1e-4);
    });

    it('gives the same cosines in ONNX Runtime', async () => {
      const file = onnxFile('model.onnx', networkOf(random.backbone, random.head));
      const scores = await onnxScores(file.parts[0], random.images, random.imageShape);
      expect(largestDifference(scores, random.cosines)).toBeLessThan(1e-4);
    });

    it(
      'gives the same cosines in PyTorch',
      needs('Python with PyTorch and safetensors (POD_DIST_PYTHON names one)', pytorchHere),
      async () => {
        const folder = mkdtempSync(join(place, 'model-'));
        const network = networkOf(random.backbone, random.head);
        await writeExportFolder(folder, await pytorchFiles(network, random.description()));
        const scores = await (pytorch as PytorchPeer).scores(folder, random.images, random.imageShape);
        expect(largestDifference(scores, random.cosines)).toBeLessThan(1e-4);
        rmSync(folder, { recursive: true });
      },
    );
  }
});

async function tfjsScores([json, ...shards]: ExportedFile[], random: RandomNetwork): Promise<number[][]> {
  const { modelTopology, weightsManifest } = JSON.parse(Buffer.from(json.parts[0]).toString()) as {
    modelTopology: object;
    weightsManifest: { weights: tf.io.WeightsManifestEntry[] }[];
  };
  const weightData = new Uint8Array(Buffer.concat(shards.flatMap(({ parts }) => parts))).buffer;
  const artifacts = { modelTopology, weightSpecs: weightsManifest[0].weights, weightData };
  const model = await tf.loadLayersModel(tf.io.fromMemory(artifacts));
  const scores = tf.tidy(() =>
    (model.predict(tf.tensor4d(random.images, [...random.imageShape])) as tf.Tensor).dataSync(),
  );
  model.dispose();
  return rowsOf(scores, random.head.classes);
}

const seeded = { kernelInitializer: tf.initializers.heNormal({ seed: 5 }) };

function apply(layer: tf.layers.Layer, ...inputs: tf.SymbolicTensor[]): tf.SymbolicTensor {
  return layer.apply(inputs.length === 1 ? inputs[0] : inputs) as tf.SymbolicTensor;
}

/** A network with layers that pod-dist's backbones lack: uneven kernels, dilation, flattening in two orders, and so on. */
function unevenLayers(): tf.LayersModel {
  const input = tf.input({ shape: [11, 11, 2] });
  const wide = apply(
    tf.layers.conv2d({
      ...seeded,
      name: 'first.conv',
      filters: 6,
      kernelSize: [2, 3],
      strides: [1, 2],
      padding: 'same',
      activation: 'relu6',
    }),
    input,
  );
  const dilated = apply(
    tf.layers.conv2d({
      ...seeded,
      filters: 6,
      kernelSize: 3,
      dilationRate: [2, 1],
      padding: 'same',
      activation: 'tanh',
    }),
    wide,
  );
  const sum = apply(tf.layers.add(), wide, dilated);
  const deep = apply(
    tf.layers.depthwiseConv2d({
      kernelSize: [3, 2],
      strides: 2,
      depthMultiplier: 2,
      padding: 'same',
      useBias: true,
      depthwiseInitializer: tf.initializers.heNormal({ seed: 6 }),
    }),
    apply(
      tf.layers.zeroPadding2d({
        padding: [
          [0, 1],
          [2, 0],
        ],
      }),
      sum,
    ),
  );
  const leaky = apply(tf.layers.leakyReLU({ alpha: 0.2 }), deep);
  const averaged = apply(
    tf.layers.averagePooling2d({ poolSize: [3, 2], strides: 2, padding: 'same' }),
    leaky,
  );
  const largest = apply(tf.layers.maxPooling2d({ poolSize: [3, 2], strides: 2, padding: 'same' }), leaky);
  const both = apply(tf.layers.concatenate(), averaged, largest);
  const flat = apply(tf.layers.activation({ activation: 'linear' }), apply(tf.layers.flatten(), both));
  const normed = apply(tf.layers.reLU({ maxValue: 2 }), apply(tf.layers.batchNormalization(), flat));
  const pooled = [
    apply(tf.layers.globalAveragePooling2d({}), both),
    apply(tf.layers.globalMaxPooling2d({}), both),
  ];
  const hidden = apply(
    tf.layers.dense({ ...seeded, units: 20, activation: 'sigmoid' }),
    apply(tf.layers.concatenate(), pooled[0], normed, pooled[1]),
  );
  return tf.model({
    inputs: input,
    outputs: apply(tf.layers.dense({ ...seeded, units: 12, useBias: false }), hidden),
  });
}

/** A network with squeeze and excitation, separable convolutions, layer norm, and every exportable activation. */
function gatedLayers(): tf.LayersModel {
  const { layers } = tf;
  const alphaInitializer = tf.initializers.randomNormal({ seed: 8, stddev: 0.5 });
  const dense = (units: number, activation?: 'hardSigmoid' | 'selu' | 'softmax') =>
    layers.dense({ ...seeded, units, activation });
  const input = tf.input({ shape: [9, 9, 3] });
  const separated = apply(
    layers.separableConv2d({
      filters: 6,
      kernelSize: [3, 2],
      strides: 2,
      depthMultiplier: 2,
      padding: 'same',
      activation: 'elu',
      depthwiseInitializer: tf.initializers.heNormal({ seed: 6 }),
      pointwiseInitializer: tf.initializers.heNormal({ seed: 7 }),
    }),
    input,
  );
  const normed = apply(layers.layerNormalization(), separated);
  const wide = apply(layers.activation({ activation: 'gelu' }), apply(dense(8), normed));
  const squeezed = apply(layers.globalAveragePooling2d({}), wide);
  const gate = apply(layers.reshape({ targetShape: [1, 1, 8] }), apply(dense(8, 'hardSigmoid'), squeezed));
  const sharedSlopes = apply(layers.prelu({ alphaInitializer, sharedAxes: [1, 2] }), wide);
  const gated = apply(layers.multiply(), gate, sharedSlopes, wide);
  const sloped = apply(layers.prelu({ alphaInitializer }), gated);
  const [soft, sign, selu, swish, mish] = (['softplus', 'softsign', 'selu', 'swish', 'mish'] as const).map(
    (activation) => apply(layers.activation({ activation }), sloped),
  );
  const least = apply(layers.minimum(), soft, swish, gate);
  const mixed = apply(layers.average(), apply(layers.maximum(), sign, selu), mish, least);
  const shares = apply(layers.softmax({ axis: -1 }), mixed);
  const flat = apply(layers.reshape({ targetShape: [5 * 5 * 8] }), apply(layers.add(), shares, mixed));
  const even = apply(
    layers.layerNormalization(),
    apply(
      layers.prelu({ alphaInitializer, sharedAxes: [1] }),
      apply(layers.prelu({ alphaInitializer }), flat),
    ),
  );
  const unlike = apply(layers.elu(), even);
  const hidden = apply(
    layers.concatenate(),
    apply(dense(10, 'selu'), unlike),
    apply(dense(6, 'softmax'), even),
  );
  return tf.model({ inputs: input, outputs: apply(layers.dense({ ...seeded, units: 12 }), hidden) });
}
