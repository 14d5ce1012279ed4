import * as tf from '../../src/tf/index.js';
import { describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { podLoss } from '../../src/losses/index.js';
import { ForwardPass } from '../../src/models/forward.js';
import { buildModel, models } from '../../src/models/index.js';
import { generateCentroids } from '../../src/pedcc/index.js';
import { BatchNorm } from '../../src/batch-norm/batch-norm.js';

const dim = 8;
const classes = 4;
const batch = 4;

// ResNet-101 and ResNet-152 are left out: they are ResNet-50 with more of the same blocks.
const networks: [name: string, backend: 'wasm' | 'native', side: number, settings?: object][] = [
  ['small-cnn', 'wasm', 8],
  ['resnet9', 'wasm', 32],
  ['resnet20', 'wasm', 8],
  ['resnet56', 'wasm', 8],
  ['resnet18', 'wasm', 8, { init: 'pytorch', padding: 'pytorch' }],
  ['resnet34', 'wasm', 8],
  ['resnet50', 'wasm', 8],
  ['resnet-face18', 'wasm', 16, { dropout: 0 }],
  ['vgg16-bn', 'wasm', 32, { activation: 'prelu' }],
  ['densenet121', 'wasm', 8],
  ['vit-tiny', 'wasm', 8],
  ['mobilenetv2', 'native', 16, { padding: 'pytorch' }],
];

const native = await initBackend('native').then(
  () => true,
  () => false,
);

describe('one training step', () => {
  it.for(networks)(
    'of %s on %s moves every weight and lowers the loss as its gradient predicts',
    async ([name, backend, side, settings], { skip }) => {
      skip(backend === 'native' && !native, 'native TensorFlow is not set up');
      await initBackend(backend);
      const shape = [side, side, 3] as const;
      const model = await buildModel(models.schema.parse({ name, dim, ...settings }), { shape, seed: 1 });
      const forward = new ForwardPass(model);
      const momentum = { statistics: 'synchronised', momentum: 0.9 } as const;
      const batchNorm = new BatchNorm(model, momentum, new LocalCommunicator());
      batchNorm.begin(batch, batch);
      const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);

      const { predicted, seen, still } = tf.tidy(() => {
        const images = tf.randomNormal<tf.Rank.R4>([batch, ...shape], 0, 1, 'float32', 3);
        const centroids = tf.tensor2d(generateCentroids({ classes, dim, seed: 1 }).values, [classes, dim]);
        const loss = () =>
          podLoss(forward.run(images, batchNorm.overrides), centroids, [0, 1, 2, 3], { delta: 0.05 });
        const { value, grads } = tf.variableGrads(loss, variables);
        const squares = variables.map(({ name }) => tf.sum(tf.square(grads[name])).dataSync()[0]);
        const before = value.dataSync()[0];
        const predicted = 0.01 * before;
        const rate = predicted / squares.reduce((sum, square) => sum + square, 0);
        for (const variable of variables)
          variable.assign(tf.sub(variable, tf.mul(grads[variable.name], rate)));
        return {
          predicted,
          seen: before - loss().dataSync()[0],
          still: variables.filter((_, index) => squares[index] === 0).map(({ name }) => name),
        };
      });
      expect(still).toEqual([]);
      expect(seen / predicted).toBeGreaterThan(0.5);
      expect(seen / predicted).toBeLessThan(1.5);
      model.dispose();
    },
  );
});
