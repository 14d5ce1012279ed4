import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { ForwardPass } from '../../src/models/forward.js';
import { buildModel, models } from '../../src/models/index.js';
import { BatchNorm } from '../../src/batch-norm/batch-norm.js';

const channels = 3;
const keep = 0.7;

async function network(statistics: 'synchronised' | 'local') {
  const config = models.schema.parse({
    name: 'small-cnn',
    dim: 4,
    channels: [channels],
    strides: [1],
    batchNorm: true,
  });
  const model = await buildModel(config, { shape: [4, 4, 1], seed: 1 });
  const batchNorm = new BatchNorm(model, { statistics, momentum: keep }, new LocalCommunicator());
  return { model, forward: new ForwardPass(model), batchNorm };
}

/** Mean and unbiased variance of each channel of the convolution's output, one value at a time. */
function statisticsOf(model: tf.LayersModel, images: tf.Tensor4D): { mean: number[]; variance: number[] } {
  const maps = tf.tidy(() => model.layers[1].call(images, {}) as tf.Tensor);
  const values = maps.dataSync<'float32'>();
  maps.dispose();
  const count = values.length / channels;
  const column = (channel: number) =>
    Array.from({ length: count }, (_, row) => values[row * channels + channel]);
  const mean = [0, 1, 2].map((channel) => column(channel).reduce((sum, value) => sum + value, 0) / count);
  const variance = mean.map(
    (middle, channel) => column(channel).reduce((sum, value) => sum + (value - middle) ** 2, 0) / (count - 1),
  );
  return { mean, variance };
}

describe.each(['synchronised', 'local'] as const)(
  'BatchNorm on one rank with %s statistics',
  (statistics) => {
    beforeAll(() => tf.setBackend('cpu'));

    it('moves its statistics towards mean and unbiased variance of each batch', async () => {
      const { model, forward, batchNorm } = await network(statistics);
      const wanted = { mean: [0, 0, 0], variance: [1, 1, 1] };
      expect([...batchNorm.flatten()]).toEqual([0, 0, 0, 1, 1, 1]);
      for (const seed of [1, 2]) {
        const images = tf.randomNormal<tf.Rank.R4>([5, 4, 4, 1], seed, 2, 'float32', seed);
        const batch = statisticsOf(model, images);
        batchNorm.begin(5, 5);
        tf.tidy(() => void forward.run(images, batchNorm.overrides));
        for (const part of ['mean', 'variance'] as const)
          wanted[part] = wanted[part].map(
            (value, channel) => keep * value + (1 - keep) * batch[part][channel],
          );
      }
      const found = batchNorm.flatten();
      [...wanted.mean, ...wanted.variance].forEach((value, index) =>
        expect(found[index]).toBeCloseTo(value, 4),
      );
    });

    it('publish writes the statistics to the layers, which evaluate with them', async () => {
      const { model, forward, batchNorm } = await network(statistics);
      const moving = Float32Array.of(0.5, -0.25, 1, 4, 0.25, 2);
      batchNorm.restore(moving);
      expect(batchNorm.flatten()).toEqual(moving);
      await batchNorm.publish();
      const layer = model.layers.find(
        (one) => one.getClassName() === 'BatchNormalization',
      ) as tf.layers.Layer;
      const published = layer.nonTrainableWeights.flatMap((weight) => [...weight.read().dataSync()]);
      expect(published).toEqual([...moving]);

      const images = tf.randomNormal<tf.Rank.R4>([2, 4, 4, 1], 0, 1, 'float32', 3);
      const features = tf.tidy(() => forward.run(images).dataSync<'float32'>());
      batchNorm.restore(Float32Array.of(0, 0, 0, 1, 1, 1));
      await batchNorm.publish();
      expect(tf.tidy(() => forward.run(images).dataSync())).not.toEqual(features);
    });

    it('keeps no tensor of a pass after flatten', async () => {
      const { forward, batchNorm } = await network(statistics);
      const images = tf.randomNormal<tf.Rank.R4>([2, 4, 4, 1], 0, 1, 'float32', 3);
      const before = tf.memory().numTensors;
      batchNorm.begin(2, 2);
      tf.tidy(() => void forward.run(images, batchNorm.overrides));
      batchNorm.flatten();
      expect(tf.memory().numTensors).toBe(before);
    });
  },
);
