import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { configSchema } from '../../src/config/schema.js';
import type { LayerOverride } from '../../src/models/forward.js';
import { randomStream } from '../../src/util/random.js';
import { Classifier } from '../../src/classifier/classifier.js';
import { TrainingStep } from '../../src/training/step.js';
import { writtenPodLoss } from '../losses/written.js';

const shape = [6, 6, 2] as const;
const classes = 3;
const delta = 0.2;
const rate = 0.1;

function config(batchNorm: boolean, optimizer = {}) {
  return configSchema.parse({
    data: { name: 'digits' },
    model: { name: 'small-cnn', dim: 4, channels: [3, 5], strides: [1, 2], batchNorm },
    learningRate: { schedule: 'constant', rate },
    loss: { name: 'pod', delta: { initial: delta } },
    optimizer: { momentum: 0.9, nesterov: true, weightDecay: 0.01, ...optimizer },
  });
}

async function make(batchNorm: boolean, optimizer = {}) {
  const communicator = new LocalCommunicator();
  const settings = config(batchNorm, optimizer);
  const classifier = await Classifier.create({ config: settings, shape, classes, communicator });
  return { classifier, step: await TrainingStep.create(classifier, communicator, settings) };
}

function batchOf(count: number, seed: number) {
  const random = randomStream(seed);
  const images = Float32Array.from({ length: count * 6 * 6 * 2 }, () => random.normal());
  return { images, labels: Int32Array.from({ length: count }, (_, row) => row % classes), count };
}

/** Batch norm written from its definition, for automatic differentiation. */
function written(layer: tf.layers.Layer): LayerOverride {
  const [gamma, beta] = layer.trainableWeights;
  const { epsilon } = layer.getConfig() as { epsilon: number };
  return (input, activation) => {
    const { mean, variance } = tf.moments(input, [0, 1, 2]);
    const normal = tf.div(tf.sub(input, mean), tf.sqrt(tf.add(variance, epsilon)));
    const y = tf.add(tf.mul(normal, gamma.read()), beta.read());
    return activation === 'relu' ? tf.relu(y) : y;
  };
}

/** Loss and flat gradient of the model by automatic differentiation of their definitions. */
function reference(classifier: Classifier, batch: ReturnType<typeof batchOf>) {
  const { forward, parameters, centroids, dim } = classifier;
  const layers = forward.model.layers.filter((layer) => layer.getClassName() === 'BatchNormalization');
  const overrides = new Map(layers.map((layer) => [layer.name, written(layer)]));
  const gradient = new Float32Array(parameters.length);
  const loss = tf.tidy(() => {
    const images = tf.tensor4d(batch.images, [batch.count, ...shape]);
    const own = tf.tensor2d(centroids.rows(batch.labels), [batch.count, dim]);
    const { value, grads } = tf.variableGrads(
      () => writtenPodLoss(forward.run(images, overrides), own, { delta }).loss,
      parameters.variables,
    );
    parameters.readGradients(grads, gradient);
    return value.dataSync()[0];
  });
  return { loss, gradient };
}

function expectClose(actual: Float32Array, wanted: Float32Array, tolerance: number): void {
  const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = wanted.reduce((most, value, index) => Math.max(most, Math.abs(value - actual[index])), 0);
  expect(worst).toBeLessThan(tolerance * scale);
}

describe.each(['cpu', 'wasm'] as const)('TrainingStep on one rank, %s', (backend) => {
  beforeAll(() => initBackend(backend));

  it.each([
    [false, 6],
    [true, 6],
    [true, 3],
  ])('agrees with automatic differentiation: batch norm %s, batch %i', async (batchNorm, count) => {
    const { classifier, step } = await make(batchNorm, { momentum: 0, nesterov: false, weightDecay: 0 });
    const batch = batchOf(count, 1);
    const wanted = reference(classifier, batch);
    const before = classifier.weights.slice();
    const { loss } = await step.run({ batch, counts: [count], rate });
    expect(loss).toBeCloseTo(wanted.loss, 5);
    const moved = classifier.weights.map((weight, index) => (before[index] - weight) / rate);
    expectClose(moved, wanted.gradient, 1e-4);
    step.dispose();
  });

  it('keeps momentum over steps, and the weights of the model equal to the flat weights', async () => {
    const { classifier, step } = await make(false);
    const weights = Float64Array.from(classifier.weights);
    const velocity = new Float64Array(weights.length);
    for (const seed of [1, 2, 3]) {
      const batch = batchOf(5, seed);
      const { gradient } = reference(classifier, batch);
      weights.forEach((weight, index) => {
        const slope = gradient[index] + 0.01 * weight;
        velocity[index] = 0.9 * velocity[index] + slope;
        weights[index] = weight - rate * (slope + 0.9 * velocity[index]);
      });
      await step.run({ batch, counts: [5], rate });
    }
    expectClose(classifier.weights, Float32Array.from(weights), 1e-4);
    const state = await step.optimiser.state.gather();
    expectClose(state.velocity as Float32Array, Float32Array.from(velocity), 1e-3);
    const inModel = new Float32Array(weights.length);
    classifier.parameters.read(inModel);
    expect(inModel).toEqual(classifier.weights.slice());
    step.dispose();
  });

  it('leaks no tensor', async () => {
    const { step } = await make(true);
    const input = { batch: batchOf(6, 1), counts: [6], rate };
    await step.run(input);
    const before = tf.memory().numTensors;
    await step.run(input);
    await step.run(input);
    expect(tf.memory().numTensors).toBe(before);
    step.dispose();
  });

  it('fails with LOSS_NOT_FINITE for NaN images, and leaks no tensor', async () => {
    const { step } = await make(true);
    await step.run({ batch: batchOf(4, 1), counts: [4], rate });
    const before = tf.memory().numTensors;
    const batch = batchOf(4, 1);
    batch.images.fill(NaN);
    for (let time = 0; time < 30; time++)
      await expect(step.run({ batch, counts: [4], rate })).rejects.toMatchObject({
        code: 'LOSS_NOT_FINITE',
      });
    expect(tf.memory().numTensors).toBe(before);
    step.dispose();
  });
});
