import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { tfjsFiles } from '../../src/export/tfjs.js';

const head = { scores: 'cosines', weight: Float32Array.of(1, 0, 0, 1), classes: 2, dim: 2 } as const;

describe('tfjsFiles', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('rejects a layer class that TensorFlow.js does not have', async () => {
    class Doubled extends tf.layers.Layer {
      static className = 'Doubled';
      override call(input: tf.Tensor | tf.Tensor[]) {
        return tf.mul(Array.isArray(input) ? input[0] : input, 2);
      }
      override computeOutputShape(shape: tf.Shape) {
        return shape;
      }
    }
    const input = tf.input({ shape: [2] });
    const output = new Doubled({ name: 'twice' }).apply(input) as tf.SymbolicTensor;
    await expect(tfjsFiles(tf.model({ inputs: input, outputs: output }), head)).rejects.toMatchObject({
      code: 'EXPORT_UNSUPPORTED',
      message: expect.stringContaining('layer twice (Doubled)'),
    });
  });

  it('gives cosines for features of any norm, and 0 for norm 0', async () => {
    const input = tf.input({ shape: [2] });
    const layer = tf.layers.dense({ units: 2, useBias: false, weights: [tf.eye(2)] });
    const loaded = await exported(
      tf.model({ inputs: input, outputs: layer.apply(input) as tf.SymbolicTensor }),
    );
    const features = tf.tensor2d([3e-4, 4e-4, -600, 800, 0, 0], [3, 2]);
    const cosines = Array.from((loaded.predict(features) as tf.Tensor).dataSync());
    [0.6, 0.8, -0.6, 0.8, 0, 0].forEach((expected, index) => expect(cosines[index]).toBeCloseTo(expected, 5));
  });

  it('pads a strided, dilated depthwise layer as TensorFlow.js does, without the dilation', async () => {
    const input = tf.input({ shape: [5, 5, 2] });
    const kernel = tf.randomNormal([3, 3, 2, 1], 0, 1, 'float32', 1);
    const layers = [
      tf.layers.depthwiseConv2d({
        kernelSize: 3,
        strides: 2,
        dilationRate: 2,
        padding: 'same',
        useBias: false,
        weights: [kernel],
      }),
      tf.layers.globalAveragePooling2d({}),
    ];
    const output = layers.reduce((value, layer) => layer.apply(value) as tf.SymbolicTensor, input);
    const model = tf.model({ inputs: input, outputs: output });
    const images = tf.randomNormal([3, 5, 5, 2], 0, 1, 'float32', 2);
    const expected = tf.tidy(() => {
      const features = model.predict(images) as tf.Tensor;
      return tf.div(features, tf.norm(features, 2, 1, true)).dataSync();
    });
    const cosines = ((await exported(model)).predict(images) as tf.Tensor).dataSync();
    expected.forEach((cosine, index) => expect(cosines[index]).toBeCloseTo(cosine, 5));
  });
});

/** The exported model, loaded as a page loads it. */
async function exported(model: tf.LayersModel): Promise<tf.LayersModel> {
  const [json, shard] = await tfjsFiles(model, head);
  const { modelTopology, weightsManifest } = JSON.parse(Buffer.from(json.parts[0]).toString()) as {
    modelTopology: object;
    weightsManifest: { weights: tf.io.WeightsManifestEntry[] }[];
  };
  const weightData = new Uint8Array(shard.parts[0]).buffer;
  const artifacts = { modelTopology, weightSpecs: weightsManifest[0].weights, weightData };
  return tf.loadLayersModel(tf.io.fromMemory(artifacts));
}
