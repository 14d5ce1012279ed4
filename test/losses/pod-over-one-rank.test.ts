import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { readOutcome, type Outcome } from '../../src/backend/host-values.js';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { applyLoss, podLoss, sourceTargets, type LossValues, losses } from '../../src/losses/index.js';
import { PodLoss } from '../../src/losses/pod.js';
import { CentroidSource } from '../../src/pedcc/source.js';
import { writtenPodLoss } from './written.js';

const [classes, dim, initial] = [5, 8, 0.3];
const source = new CentroidSource({ classes, dim, seed: 2 });
const centroids = source.block(0, classes);

function podOf(lambda: number, delta: object = {}): PodLoss {
  const config = losses.schema.parse({ name: 'pod', lambda, delta: { initial, ...delta } });
  if (config.name !== 'pod') throw new Error(config.name);
  return new PodLoss(config, { communicator: new LocalCommunicator(), targets: sourceTargets(source) });
}

function evaluate(lambda: number, features: tf.Tensor2D, labels: Int32Array) {
  const outcomes: Outcome<LossValues>[] = [];
  const shard = { labels, counts: [labels.length] };
  const ours = podOf(lambda);
  const { grad } = tf.valueAndGrad((z: tf.Tensor) => {
    const { loss, values } = applyLoss(ours, { features: z as tf.Tensor2D }, shard, { isRoot: true });
    outcomes.push(values);
    return loss;
  })(features);
  const values = readOutcome(outcomes[0]);
  const normSum = ours.state.sums[0];
  ours.dispose();
  const value = podLoss(features, tf.tensor2d(centroids, [classes, dim]), labels, { delta: initial, lambda });
  return { values, normSum, value: value.dataSync()[0], gradient: grad.dataSync<'float32'>() };
}

/** Sum over rows of the norm of W z. */
function logitNorms(features: tf.Tensor2D): number {
  const all = tf.matMul(features, tf.tensor2d(centroids, [classes, dim]), false, true);
  return tf.sum(tf.norm(all, 2, 1)).dataSync()[0];
}

describe('PodLoss on one rank', () => {
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
  ])('agrees with automatic differentiation of its definition: batch %i, lambda %f', (batch, lambda) => {
    tf.tidy(() => {
      const features = tf.randomNormal<tf.Rank.R2>([batch, dim], 0, 1, 'float32', batch);
      const labels = Int32Array.from({ length: batch }, (_, row) => (3 * row) % classes);
      const own = tf.gather(tf.tensor2d(centroids, [classes, dim]), tf.tensor1d(labels, 'int32'));
      const { values, normSum, value, gradient } = evaluate(lambda, features, labels);
      const written = (z: tf.Tensor) => writtenPodLoss(z as tf.Tensor2D, own, { delta: initial, lambda });
      const wanted = tf.valueAndGrad((z: tf.Tensor) => written(z).loss)(features);

      expect(value).toBeCloseTo(wanted.value.dataSync()[0], 5);
      expect(values.loss).toBeCloseTo(value, 5);
      expect(values.parts.nac).toBeCloseTo(written(features).nac.dataSync()[0], 5);
      if (lambda > 0) expect(values.parts.sc).toBeCloseTo(written(features).sc.dataSync()[0], 5);
      expect(normSum).toBeCloseTo(logitNorms(features), 4);
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
      const { values, normSum, gradient } = evaluate(1, features, new Int32Array(5).fill(2));
      expect([values.loss, normSum].every(Number.isFinite)).toBe(true);
      expect(gradient.every(Number.isFinite)).toBe(true);
    });
  });

  it('sets delta after an epoch from the mean norm of features or logits, and keeps it with schedule fixed', async () => {
    const features = tf.randomNormal<tf.Rank.R2>([6, dim], 0, 1, 'float32', 4);
    const shard = { labels: new Int32Array(6), counts: [6] };
    const pass = (pod: PodLoss) => tf.tidy(() => void readOutcome(pod.compute(features, [], shard).values));
    const train = async (delta: object) => {
      const pod = podOf(1, delta);
      for (let step = 0; step < 2; step++) pass(pod);
      await pod.state.afterEpoch(2, 12);
      const { values } = pod.state;
      pod.dispose();
      return values;
    };
    const norm = tf.mean(tf.norm(features, 2, 1)).dataSync()[0];
    expect(await train({ source: 'features' })).toEqual([expect.closeTo(0.01 * 3 * norm, 5)]);
    expect(await train({ scale: 0.5 })).toEqual([expect.closeTo((0.5 * 3 * logitNorms(features)) / 6, 4)]);
    expect(await train({ schedule: 'fixed' })).toEqual([initial]);
    features.dispose();
  });

  it('continues in the middle of an epoch from the values and sums of its state', async () => {
    const features = tf.randomNormal<tf.Rank.R2>([6, dim], 0, 1, 'float32', 5);
    const shard = { labels: new Int32Array(6), counts: [6] };
    const [first, second] = [podOf(1), podOf(1)];
    const pass = (pod: PodLoss) => tf.tidy(() => void readOutcome(pod.compute(features, [], shard).values));
    pass(first);
    second.state.values = first.state.values;
    second.state.sums = first.state.sums;
    for (const pod of [first, second]) pass(pod);
    for (const pod of [first, second]) await pod.state.afterEpoch(0, 12);
    expect(second.state.values).toEqual(first.state.values);
    for (const pod of [first, second]) pod.dispose();
    features.dispose();
  });
});
