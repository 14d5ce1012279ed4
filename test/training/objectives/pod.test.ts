import * as tf from '../../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { LocalCommunicator } from '../../../src/collective/local-communicator.js';
import { configSchema } from '../../../src/config/schema.js';
import { normAdaptiveCosineLoss, normSum, podLoss, selfCorrelationLoss } from '../../../src/loss/index.js';
import { CentroidSource } from '../../../src/pedcc/source.js';
import type { LossValues } from '../../../src/training/objectives/index.js';
import { PodObjective } from '../../../src/training/objectives/pod.js';

const [classes, dim, delta] = [5, 8, 0.3];
const source = new CentroidSource({ classes, dim, seed: 2 });
const centroids = source.block(0, classes);

function objective(lambda: number, normSource: 'logits' | 'features' = 'logits'): PodObjective {
  const { loss: config } = configSchema.parse({
    data: { name: 'digits' },
    model: { name: 'small-cnn', dim },
    learningRate: { schedule: 'constant', rate: 1 },
    loss: { name: 'pod', lambda, delta: { source: normSource } },
  });
  if (config.name !== 'pod') throw new Error(config.name);
  return new PodObjective({ communicator: new LocalCommunicator(), config, centroids: source });
}

function evaluate(lambda: number, features: tf.Tensor2D, labels: Int32Array) {
  let values: LossValues | undefined;
  const shard = { labels, counts: [labels.length] };
  const ours = objective(lambda);
  const { value, grad } = tf.valueAndGrad((z: tf.Tensor) =>
    ours.apply(z as tf.Tensor2D, shard, delta, (result) => (values = result)),
  )(features);
  ours.dispose();
  return {
    values: values as unknown as LossValues,
    value: value.dataSync()[0],
    gradient: grad.dataSync<'float32'>(),
  };
}

describe('PodObjective on one rank', () => {
  beforeAll(() => tf.setBackend('cpu'));

  // Batches below the dimension gather residuals, others reduce the Gram matrix.
  it.each([
    [1, 1],
    [2, 1],
    [7, 1],
    [8, 1],
    [20, 1],
    [20, 0],
    [20, 2.5],
    [4, 2.5],
  ])('agrees with automatic differentiation of POD Loss: batch %i, lambda %f', (batch, lambda) => {
    tf.tidy(() => {
      const features = tf.randomNormal<tf.Rank.R2>([batch, dim], 0, 1, 'float32', batch);
      const labels = Int32Array.from({ length: batch }, (_, row) => (3 * row) % classes);
      const own = tf.tensor2d(centroids, [classes, dim]);
      const { values, value, gradient } = evaluate(lambda, features, labels);
      const wanted = tf.valueAndGrad((z: tf.Tensor) =>
        podLoss(z as tf.Tensor2D, own, labels, { delta, lambda }),
      )(features);

      expect(value).toBeCloseTo(wanted.value.dataSync()[0], 5);
      expect(values.loss).toBeCloseTo(value, 5);
      expect(values.parts.nac).toBeCloseTo(
        normAdaptiveCosineLoss(features, own, labels, delta).dataSync()[0],
        5,
      );
      if (lambda > 0)
        expect(values.parts.sc).toBeCloseTo(selfCorrelationLoss(features, own, labels).dataSync()[0], 5);
      expect(values.normSums[0]).toBeCloseTo(normSum(features, own, 'logits').dataSync()[0], 4);
      const reference = wanted.grad.dataSync<'float32'>();
      const scale = Math.max(...reference.map(Math.abs));
      gradient.forEach((slope, index) =>
        expect(Math.abs(slope - reference[index])).toBeLessThan(1e-5 * scale + 1e-8),
      );
    });
  });

  it('stays finite for features of norm 0 and batches of one class', () => {
    tf.tidy(() => {
      const features = tf.concat([
        tf.zeros([2, dim]),
        tf.randomNormal([3, dim], 0, 1, 'float32', 1),
      ]) as tf.Tensor2D;
      const { values, gradient } = evaluate(1, features, new Int32Array(5).fill(2));
      expect([values.loss, values.normSums[0]].every(Number.isFinite)).toBe(true);
      expect(gradient.every(Number.isFinite)).toBe(true);
    });
  });

  it("follows the norm of features where delta's schedule asks for it", () => {
    tf.tidy(() => {
      const features = tf.randomNormal<tf.Rank.R2>([6, dim], 0, 1, 'float32', 4);
      const shard = { labels: new Int32Array(6), counts: [6] };
      let sum = 0;
      objective(1, 'features').apply(features, shard, delta, (values) => (sum = values.normSums[0]));
      expect(sum).toBeCloseTo(tf.sum(tf.norm(features, 2, 1)).dataSync()[0], 4);
    });
  });
});
