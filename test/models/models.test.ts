import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { ForwardPass } from '../../src/models/forward.js';
import { buildModel, models } from '../../src/models/index.js';

const shape = [32, 32, 3] as const;
const small = models.schema.parse({
  name: 'small-cnn',
  dim: 16,
  channels: [4, 8],
  strides: [1, 2],
  batchNorm: true,
});

function trainable(model: tf.LayersModel): number {
  return model.trainableWeights.reduce(
    (sum, weight) => sum + weight.shape.reduce<number>((a, b) => a * (b ?? 1), 1),
    0,
  );
}

/** Published numbers of parameters, for d = 10 or d = 1000. */
const sizes = [
  // Option A of arXiv 1512.03385 has 269,722 and 853,018 (0.27 M and 0.85 M in its table 6); projections add 2,752.
  ['resnet20', '3x3', 10, 269_722 + 2_752],
  ['resnet56', '3x3', 10, 853_018 + 2_752],
  // D. Page's cifar10-fast has 6,573,120, its linear layer without a bias.
  ['resnet9', '3x3', 10, 6_573_120 + 10],
  // kuangliu/pytorch-cifar: 3x3 stem, no max-pool, 10 classes.
  ['resnet18', '3x3', 10, 11_173_962],
  ['resnet34', '3x3', 10, 21_282_122],
  ['resnet50', '3x3', 10, 23_520_842],
  ['resnet152', '3x3', 10, 58_156_618],
  ['vgg16-bn', '3x3', 10, 14_728_266],
  // torchvision 0.20, "num_params" of its ImageNet weights, 1,000 classes.
  ['resnet18', 'imagenet', 1000, 11_689_512],
  ['resnet50', 'imagenet', 1000, 25_557_032],
  ['densenet121', 'imagenet', 1000, 7_978_856],
  ['mobilenetv2', 'imagenet', 1000, 3_504_872],
  // torchvision's VGG-16 with batch norm has 138,365,992, of which 123,642,856 in three fully connected layers.
  ['vgg16-bn', '3x3', 1000, 138_365_992 - 123_642_856 + 512 * 1000 + 1000],
] as const;

describe('buildModel', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it.each(sizes)('builds %s (stem %s, d = %i) with %i parameters', async (name, stem, dim, published) => {
    const config = models.schema.parse(stem === '3x3' ? { name, dim } : { name, dim, stem });
    const model = await buildModel(config, { shape, seed: 1 });
    expect(trainable(model)).toBe(published);
    expect(model.outputs[0].shape).toEqual([null, dim]);
    model.dispose();
  });

  it('reduces 32x32 images to 4x4 maps with stem 3x3, and to 1x1 with stem imagenet', async () => {
    const sizeBeforePooling = async (name: string, stem: string) => {
      const model = await buildModel(models.schema.parse({ name, stem }), { shape, seed: 1 });
      const side = (model.layers[model.layers.length - 3].outputShape as number[])[1];
      model.dispose();
      return side;
    };
    expect(await sizeBeforePooling('resnet18', '3x3')).toBe(4);
    expect(await sizeBeforePooling('resnet18', 'imagenet')).toBe(1);
    expect(await sizeBeforePooling('mobilenetv2', '3x3')).toBe(4);
    expect(await sizeBeforePooling('mobilenetv2', 'imagenet')).toBe(1);
  });

  it('builds vit-tiny with the parameters of DeiT-Ti, except class token and positions', async () => {
    const config = models.schema.parse({ name: 'vit-tiny', dim: 1000, patch: 16 });
    const model = await buildModel(config, { shape, seed: 1 });
    // timm's deit_tiny_patch16_224 has 5,717,416, with a class token of 192 and 197 positions, not a 3x3 filter per channel.
    expect(trainable(model)).toBe(5_717_416 - 192 - 197 * 192 + 9 * 192);
    model.dispose();
    const odd = buildModel(models.schema.parse({ name: 'vit-tiny', patch: 5 }), { shape, seed: 1 });
    await expect(odd).rejects.toThrow(/model.patch is 5, images are 32x32: give a patch that divides both/);
  });

  it('gives equal initial weights for equal seeds, and others for another seed', async () => {
    const weights = async (seed: number) =>
      (await buildModel(small, { shape, seed })).trainableWeights.map((weight) => [
        ...weight.read().dataSync(),
      ]);
    expect(await weights(3)).toEqual(await weights(3));
    expect(await weights(3)).not.toEqual(await weights(4));
  });

  it.each([
    ['small-cnn', { channels: [16, 24], strides: [1, 2] }],
    ['vgg16-bn', {}],
    ['mobilenetv2', {}],
  ])(
    "draws weights and biases of %s uniformly from +-1/sqrt(fan in) with init 'pytorch'",
    async (name, more) => {
      const config = models.schema.parse({ name, dim: 64, init: 'pytorch', ...more });
      const model = await buildModel(config, { shape, seed: 1 });
      let biases = 0;
      for (const layer of model.layers) {
        const [kernel, bias] = layer.trainableWeights.map((weight) => weight.read());
        if (layer.getClassName() === 'BatchNormalization') {
          expect([Math.min(...kernel.dataSync()), Math.max(...bias.dataSync())]).toEqual([1, 0]);
          continue;
        }
        if (!kernel) continue;
        const depthwise = layer.getClassName() === 'DepthwiseConv2D';
        const fanIn = depthwise ? 9 : kernel.size / kernel.shape[kernel.rank - 1];
        const limit = 1 / Math.sqrt(fanIn);
        for (const weight of [kernel, bias]) {
          if (!weight) continue;
          const values = [...weight.dataSync()].map((value) => value / limit);
          const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
          expect(most).toBeLessThanOrEqual(1 + 1e-6);
          expect(most).toBeGreaterThan(0.85);
          const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
          // A uniform number in +-1 has variance 1/3 and a squared variance of 4/45.
          expect(Math.abs(variance - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / values.length));
          if (weight === bias) biases++;
        }
      }
      expect(biases).toBe(name === 'mobilenetv2' ? 1 : name === 'vgg16-bn' ? 14 : 3);
      model.dispose();
    },
  );

  it('draws depthwise filters with variance 2/9 for any number of channels', async () => {
    const model = await buildModel(models.schema.parse({ name: 'mobilenetv2' }), { shape, seed: 1 });
    const filters = model.trainableWeights.filter((weight) => weight.name.includes('depthwise_kernel'));
    const values = filters.flatMap((weight) => [...weight.read().dataSync()]);
    const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    expect(filters).toHaveLength(17);
    expect(variance * 4.5).toBeCloseTo(1, 1);
    model.dispose();
  });

  it("pads strided layers evenly on all sides with padding 'pytorch'", async () => {
    const build = (padding: string) =>
      buildModel(models.schema.parse({ name: 'resnet18', stem: 'imagenet', dim: 4, padding }), {
        shape: [31, 32, 3],
        seed: 1,
      });
    const [same, even] = [await build('tensorflow'), await build('pytorch')];
    const sums = (model: tf.LayersModel) =>
      tf.tidy(() => model.trainableWeights.map((one) => tf.sum(one.read()).dataSync()[0]));
    expect(sums(even)).toEqual(sums(same));
    const borders = even.layers
      .filter((layer) => layer.getClassName() === 'ZeroPadding2D')
      .map((layer) => [layer.name, (layer.getConfig().padding as number[][])[0]]);
    // Padding of the stem, its max-pool, and the first convolution of each stage that halves the size; shortcuts need none.
    expect(borders).toEqual([
      ['conv1_border', [3, 3]],
      ['pool4_border', [1, 1]],
      ['conv19_border', [1, 1]],
      ['conv35_border', [1, 1]],
      ['conv51_border', [1, 1]],
    ]);
    expect(
      even.layers.filter(({ name }) => !name.endsWith('_border')).map(({ outputShape }) => outputShape),
    ).toEqual(same.layers.map(({ outputShape }) => outputShape));
    for (const model of [same, even]) model.dispose();
  });

  it('rejects channels and strides of different length', async () => {
    await expect(
      buildModel(models.schema.parse({ ...small, strides: [1] }), { shape, seed: 1 }),
    ).rejects.toThrow(/2 entries and model.strides 1/);
  });
});

describe('ForwardPass', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('gives the output of model.predict', async () => {
    const model = await buildModel(models.schema.parse({ name: 'resnet20', dim: 8 }), {
      shape: [8, 8, 3],
      seed: 1,
    });
    const images = tf.randomNormal<tf.Rank.R4>([2, 8, 8, 3], 0, 1, 'float32', 5);
    const expected = (model.predict(images) as tf.Tensor).dataSync();
    const actual = tf.tidy(() => new ForwardPass(model).run(images).dataSync());
    actual.forEach((value, index) => expect(value).toBeCloseTo(expected[index], 5));
  });

  it('calls an override in place of a layer', async () => {
    const model = await buildModel(small, { shape: [8, 8, 3], seed: 1 });
    const images = tf.ones<tf.Rank.R4>([1, 8, 8, 3]);
    const seen: number[][] = [];
    const override = (input: tf.Tensor) => {
      seen.push(input.shape);
      return tf.zerosLike(input);
    };
    const features = tf.tidy(() =>
      new ForwardPass(model).run(images, new Map([['bn5', override]])).dataSync(),
    );
    expect(seen).toEqual([[1, 4, 4, 8]]);
    expect(features.every((value) => value === 0)).toBe(true);
  });

  it('passes a following ReLU to an override only if the ReLU is its sole reader and not capped', () => {
    const input = tf.input({ shape: [2, 2, 3] });
    const norm = (name: string) => tf.layers.batchNormalization({ name });
    const alone = tf.layers.reLU().apply(norm('alone').apply(input)) as tf.SymbolicTensor;
    const capped = tf.layers.reLU({ maxValue: 6 }).apply(norm('capped').apply(input)) as tf.SymbolicTensor;
    const shared = norm('shared').apply(input) as tf.SymbolicTensor;
    const rectified = tf.layers.reLU().apply(shared) as tf.SymbolicTensor;
    const sum = tf.layers.add().apply([alone, capped, shared, rectified]) as tf.SymbolicTensor;
    const model = tf.model({ inputs: input, outputs: tf.layers.flatten().apply(sum) as tf.SymbolicTensor });
    const seen = new Map<string, string>();
    const overrides = new Map(
      ['alone', 'capped', 'shared'].map((name) => [
        name,
        (value: tf.Tensor, activation: string) => {
          seen.set(name, activation);
          return activation === 'relu' ? tf.relu(value) : value;
        },
      ]),
    );
    const features = tf.tidy(() =>
      new ForwardPass(model).run(tf.fill([1, 2, 2, 3], -1), overrides).dataSync(),
    );
    expect([...seen]).toEqual([
      ['alone', 'relu'],
      ['capped', 'linear'],
      ['shared', 'linear'],
    ]);
    expect(features.every((value) => value === -1)).toBe(true);
  });

  it('passes a following sum of two to a batch norm override only if the sum is its sole reader', () => {
    const input = tf.input({ shape: [2, 2, 3] });
    const norm = (name: string, value: tf.SymbolicTensor) =>
      tf.layers.batchNormalization({ name }).apply(value) as tf.SymbolicTensor;
    const add = (...values: tf.SymbolicTensor[]) => tf.layers.add().apply(values) as tf.SymbolicTensor;
    const first = tf.layers.reLU().apply(add(input, norm('rectified', input))) as tf.SymbolicTensor;
    const second = add(norm('left', first), norm('right', first));
    const shared = norm('shared', second);
    const third = add(add(shared, second), shared);
    const fourth = add(norm('three', third), third, third);
    const outputs = tf.layers.flatten().apply(fourth) as tf.SymbolicTensor;
    const model = tf.model({ inputs: input, outputs });
    const seen = new Map<string, unknown[]>();
    const overrides = new Map(
      ['rectified', 'left', 'right', 'shared', 'three'].map((name) => [
        name,
        (value: tf.Tensor, activation: string, residual?: tf.Tensor) => {
          seen.set(name, [activation, residual?.dataSync()[0]]);
          const scaled = tf.mul(value, 10);
          const sum = residual ? tf.add(scaled, residual) : scaled;
          return activation === 'relu' ? tf.relu(sum) : sum;
        },
      ]),
    );
    const features = tf.tidy(() =>
      new ForwardPass(model).run(tf.fill([1, 2, 2, 3], 1), overrides).dataSync(),
    );
    // 1; 11; 110 + 110; 2200 + 220 + 2200; 46200 + 2 x 4620.
    expect(Object.fromEntries(seen)).toEqual({
      rectified: ['relu', 1],
      right: ['linear', undefined],
      left: ['linear', 110],
      shared: ['linear', undefined],
      three: ['linear', undefined],
    });
    expect(features.every((value) => value === 55_440)).toBe(true);
    const plain = tf.tidy(() => new ForwardPass(model).run(tf.fill([1, 2, 2, 3], 2)).dataSync());
    const expected = (model.predict(tf.fill([1, 2, 2, 3], 2)) as tf.Tensor).dataSync();
    plain.forEach((value, index) => expect(value).toBeCloseTo(expected[index], 4));
  });

  it('rejects a network that uses a layer twice', () => {
    const input = tf.input({ shape: [4] });
    const dense = tf.layers.dense({ units: 4 });
    const model = tf.model({ inputs: input, outputs: dense.apply(dense.apply(input)) as tf.SymbolicTensor });
    expect(() => new ForwardPass(model)).toThrow(/used 2 times/);
  });
});
