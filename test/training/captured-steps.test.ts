import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { fromHost } from '../../src/backend/host-values.js';
import { obstacleToBf16 } from '../../src/backend/native/bf16-support.js';
import { findAddon } from '../../src/backend/native/cache.js';
import type { NodeBackend } from '../../src/backend/native/node-backend.js';
import { Classifier } from '../../src/classifier/classifier.js';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { configSchema, type ConfigInput } from '../../src/config/schema.js';
import { registerLoss } from '../../src/config/plugins.js';
import { losses, meanOverImages } from '../../src/losses/index.js';
import * as tf from '../../src/tf/index.js';
import { TrainingStep } from '../../src/training/step.js';
import { randomStream } from '../../src/util/random.js';
import { z } from 'zod';
import { long, needs } from '../needs.js';

const shape = [8, 8, 3] as const;
const classes = 5;
const whole = 12;
const short = 5;

const small = { name: 'small-cnn' as const, dim: 6, channels: [4, 6], strides: [1, 2], batchNorm: true };

function batchOf(count: number, seed: number) {
  const random = randomStream(seed, count);
  const images = Float32Array.from({ length: count * 8 * 8 * 3 }, () => random.normal());
  return { images, labels: Int32Array.from({ length: count }, (_, row) => (row * seed) % classes), count };
}

/** Counts calls of single operations; the returned function gives the count since its last call. */
function countCalls(): () => number {
  const backend = tf.backend() as NodeBackend;
  const { binding } = backend;
  let calls = 0;
  const executeOp: typeof binding.executeOp = (...call) => {
    calls++;
    return binding.executeOp(...call);
  };
  backend.binding = Object.create(binding, { executeOp: { value: executeOp } }) as typeof binding;
  return () => {
    const counted = calls;
    calls = 0;
    return counted;
  };
}

interface Run {
  weights: string;
  losses: number[];
  notices: string[];
  /** Number of operations that each micro-batch called one by one. */
  calls: number[];
}

/** Trains two epochs of six batches, the last batch of each short. */
async function train(input: Partial<ConfigInput>, capture: 'auto' | 'off', isMixed = false): Promise<Run> {
  const config = configSchema.parse({
    data: { name: 'digits' },
    model: small,
    learningRate: { schedule: 'constant', rate: 0.05 },
    batchSize: whole,
    capture,
    ...input,
  });
  const communicator = new LocalCommunicator();
  const classifier = await Classifier.create({ config, shape, classes, communicator });
  const notices: string[] = [];
  const onNotice = (line: string) => void notices.push(line);
  const step = await TrainingStep.create(classifier, communicator, config, { onNotice });
  const called = countCalls();
  const result: Run = { weights: '', losses: [], notices, calls: [] };
  const { accumulate } = config;
  for (let epoch = 0; epoch < 2; epoch++) {
    for (let index = 0; index < 6; index++) {
      const seed = 1 + epoch * 6 + index;
      const plain = batchOf(index === 5 ? short : whole, seed);
      const mixed = { labels: plain.labels.map((label) => (label + seed) % classes), share: 1 / (seed + 1) };
      const batch = isMixed ? { ...plain, mixed } : plain;
      const micro = { index: index % accumulate, count: accumulate };
      called();
      const { loss } = await step.run({ batch, counts: [batch.count], rate: 0.05, micro });
      result.calls.push(called());
      result.losses.push(loss);
    }
    await step.loss.state?.afterEpoch(epoch, 5 * whole + short);
  }
  await step.complete();
  result.weights = classifier.weightsSha256();
  step.dispose();
  classifier.dispose();
  await communicator.close();
  return result;
}

/** Batches that run operation by operation: a batch of either length is recorded twice, then runs as a graph. */
const recorded = [0, 1, 5, 11];

function expectCaptured({ notices, calls }: Run): void {
  expect(notices).toEqual([]);
  calls.forEach((count, index) => {
    if (recorded.includes(index)) expect(count).toBeGreaterThan(20);
    else expect(count).toBe(0);
  });
}

/** Trains with graphs and operation by operation, expects equal bits, and returns the run without graphs. */
async function expectSame(input: Partial<ConfigInput>, isMixed = false): Promise<Run> {
  const [graphs, operations] = [await train(input, 'auto', isMixed), await train(input, 'off', isMixed)];
  expectCaptured(graphs);
  expect(graphs.losses).toEqual(operations.losses);
  expect(graphs.weights).toBe(operations.weights);
  return operations;
}

describe(
  'captured steps',
  needs('native TensorFlow with operations of its own', findAddon()?.operations),
  () => {
    beforeAll(async () => void (await initBackend('native')));
    beforeEach(() => void tf.disposeVariables());

    it.each(losses.names.map((name) => [name]))('train the loss %s to the same bits', async (name) => {
      const operations = await expectSame({ loss: { name } as ConfigInput['loss'] });
      expect(operations.calls.every((count) => count > 20)).toBe(true);
    });

    it.each<[string, Partial<ConfigInput>]>([
      ['delta that grows with the epochs', { loss: { name: 'pod', delta: { scale: 0.5 } } }],
      ['a batch below the dimension', { model: { ...small, dim: 20 } }],
      ['micro-batches', { accumulate: 3 }],
      ['several virtual workers', { distributed: { bitwise: 4 } }],
      ['virtual workers and micro-batches', { accumulate: 2, distributed: { bitwise: 2 } }],
      ['clipping and AdamW', { optimizer: { name: 'adamw', clipNorm: 0.5 } }],
      ['no batch norm', { model: { ...small, batchNorm: false } }],
      ['residual blocks', { model: { name: 'resnet20', dim: 6 } }],
    ])('train with %s to the same bits', async (_, input) => {
      await expectSame(input);
    });

    it.each<[string, Partial<ConfigInput>]>([
      ['pooling', { model: { name: 'vgg16-bn', dim: 6 } }],
      ['dropout, gates and PReLU', { model: { name: 'resnet-face18', dim: 6, affine: false } }],
      [
        'depthwise convolutions, even borders',
        { model: { name: 'mobilenetv2', dim: 6, padding: 'pytorch' } },
      ],
      ['dense blocks', { model: { name: 'densenet121', dim: 6 } }],
    ])('train with %s to the same bits', long, async (_, input) => {
      await expectSame(input);
    });

    it('train on mixed images with a share that changes at every step to the same bits', async () => {
      for (const name of ['pod', 'pedcc-loss', 'softmax'] as const)
        await expectSame({ loss: { name }, distributed: { bitwise: 2 } }, true);
    });

    describe('in bf16', needs('a processor with instructions for bf16', !obstacleToBf16()), () => {
      const precision = 'bf16';
      it.each<[string, Partial<ConfigInput>]>([
        ['batch norm', {}],
        ['biases', { model: { ...small, batchNorm: false } }],
        ['residual blocks', { model: { name: 'resnet20', dim: 6 } }],
        ['several virtual workers', { distributed: { bitwise: 2 } }],
      ])(
        'train with %s to the same bits with and without graphs, and to other bits than in float32',
        async (_, input) => {
          const narrow = await expectSame({ ...input, precision });
          const wide = await train(input, 'auto');
          expect(narrow.weights).not.toBe(wide.weights);
          expect(Math.abs(narrow.losses[0] / wide.losses[0] - 1)).toBeLessThan(0.02);
        },
      );
    });

    it('hold no more tensors after a third run than after a second', async () => {
      const counts: number[] = [];
      for (let run = 0; run < 3; run++) {
        await train({}, 'auto');
        counts.push(tf.memory().numTensors);
      }
      expect(counts[2]).toBe(counts[1]);
    });

    describe('fall back to single operations', () => {
      const register = (name: string, terms: Parameters<typeof meanOverImages>[1]) =>
        registerLoss({
          name,
          schema: z.strictObject({ name: z.literal(name) }),
          graphs: true,
          create: (_config, { communicator }) => meanOverImages(communicator, terms),
        });
      const half = (features: tf.Tensor2D) => tf.div(tf.sum(tf.square(features)), 2) as tf.Scalar;

      it.each<[string, Parameters<typeof meanOverImages>[1], RegExp]>([
        [
          'reads-values',
          (features) => {
            const [size] = tf.mean(tf.abs(features)).dataSync();
            return { sum: half(features), gradients: () => [tf.mul(features, 1 + size)] };
          },
          /reads values of tensors in between/,
        ],
        [
          'draws-numbers',
          (features) => {
            const mask = tf.randomUniform<tf.Rank.R2>(features.shape);
            return { sum: half(features), gradients: () => [tf.mul(features, mask)] };
          },
          /a Mul is given other numbers than before/,
        ],
        [
          'counts-its-calls',
          (() => {
            let calls = 0;
            return (features: tf.Tensor2D) => {
              const gradient = ++calls % 2 === 0 ? tf.neg(tf.neg(features)) : tf.mul(features, 1);
              return { sum: half(features), gradients: () => [gradient] };
            };
          })(),
          /calls other operations than before, first a (Mul|Neg)/,
        ],
        [
          'branches-on-weights',
          (features) => {
            const [scale] = fromHost(() => ({ values: Float32Array.of(2), shape: [] })).dataSync();
            return { sum: half(features), gradients: () => [tf.mul(features, (scale ?? 0) / 2)] };
          },
          /reads values of tensors in between/,
        ],
      ])('with a loss that %s', async (name, terms, reason) => {
        register(name, terms);
        const { notices, calls } = await train({ loss: { name } as never }, 'auto');
        expect(notices).toHaveLength(1);
        expect(notices[0]).toMatch(/^training steps run operation by operation, which takes longer: /);
        expect(notices[0]).toMatch(reason);
        expect(calls.every((count) => count > 20)).toBe(true);
      });
    });

    it('fall back to single operations for a loss without graphs: true', async () => {
      registerLoss({
        name: 'no-graphs',
        schema: z.strictObject({ name: z.literal('no-graphs') }),
        create: (_config, { communicator }) =>
          meanOverImages(communicator, (features) => ({
            sum: tf.div(tf.sum(tf.square(features)), 2),
            gradients: () => [features],
          })),
      });
      const { notices, calls } = await train({ loss: { name: 'no-graphs' } as never }, 'auto');
      expect(notices).toEqual([
        expect.stringMatching(/the loss no-graphs does not say that graphs are right/),
      ]);
      expect(calls.every((count) => count > 20)).toBe(true);
    });

    it('read a number from the host once a step', async () => {
      registerLoss({
        name: 'changing-number',
        schema: z.strictObject({ name: z.literal('changing-number') }),
        graphs: true,
        create: (_config, { communicator }) => {
          let calls = 0;
          return meanOverImages(communicator, (features) => {
            const factor = fromHost(() => ({ values: Float32Array.of(1 + 0.1 * ++calls), shape: [] }));
            const scaled = tf.mul<tf.Tensor2D>(features, factor);
            return { sum: tf.div(tf.sum(tf.square(scaled)), 2), gradients: () => [scaled] };
          });
        },
      });
      await expectSame({ loss: { name: 'changing-number' } as never });
    });

    it('take labels as an input if the loss makes its own tensor of them', async () => {
      registerLoss({
        name: 'own-labels',
        schema: z.strictObject({ name: z.literal('own-labels') }),
        graphs: true,
        create: (_config, { communicator }) =>
          meanOverImages(communicator, (features, labels) => {
            const own = tf.cast(tf.oneHot(tf.tensor1d(labels, 'int32'), features.shape[1]), 'float32');
            const miss = tf.sub<tf.Tensor2D>(features, own);
            return { sum: tf.div(tf.sum(tf.square(miss)), 2), gradients: () => [miss] };
          }),
      });
      await expectSame({ loss: { name: 'own-labels' } as never });
    });
  },
);
