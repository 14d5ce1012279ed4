import * as tf from '../../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../../src/backend/index.js';
import type { BatchNormCall, Normalised } from '../../../src/backend/batch-norm.js';
import { runningBatchNorm } from '../../../src/backend/composed-batch-norm.js';
import { fusedBatchNorm } from '../../../src/backend/native/batch-norm/fused.js';
import { findAddon } from '../../../src/backend/native/cache.js';
import type { NodeBackend } from '../../../src/backend/native/node-backend.js';
import { normal } from '../backends.js';
import { halvesOf } from '../halves.js';
import { needs } from '../../needs.js';

const epsilon = 1e-5;
const shapes = [
  [1, 1, 1, 3],
  [3, 4, 4, 37],
  [17, 130, 129, 1],
  [40, 32, 32, 19],
];
const forms = [
  { activation: 'relu', added: false },
  { activation: 'linear', added: true },
  { activation: 'relu', added: true },
] as const;

const bits = (values: ArrayLike<number>) => Buffer.from(Float32Array.from(values).buffer);
const bitsOf = (tensor: tf.Tensor) => bits(tensor.dataSync());
const same = (actual: Buffer, expected: Buffer) => expect(actual.equals(expected)).toBe(true);

describe(
  'batch norm in native operations',
  needs('native TensorFlow with operations of its own', findAddon()?.operations),
  () => {
    beforeAll(async () => void (await initBackend('native')));

    it.each(shapes.flatMap((shape) => forms.map((form) => [shape, form] as const)))(
      'gives the same bits as a whole and in halves, shape %j, %j',
      (shape, { activation, added }) =>
        tf.tidy(() => {
          const channels = shape[3];
          const rows = tf.util.sizeFromShape(shape) / channels;
          const [x, dy] = [normal(shape, 1, 0.5), normal(shape, 2)];
          const [gamma, beta] = [normal([channels], 3), normal([channels], 4)];
          const residual = added ? normal(shape, 7) : undefined;
          const call: BatchNormCall = { x, gamma, beta, residual, epsilon, activation };
          const own = runningBatchNorm();
          const half = halvesOf(own);

          const sums = half.sums(x);
          const means = sums.subarray(0, channels).map((value) => value / rows);
          const variances = sums.subarray(channels).map((sum, c) => Math.max(sum / rows - means[c] ** 2, 0));
          const halves = half.normalise(call, { means, variances });
          const whole = own.whole.normalise(call);
          same(bitsOf(whole.y), bitsOf(halves.y));
          same(bitsOf(whole.statistics[0]), bitsOf(halves.statistics[0]));
          const unbiased = variances.map((value) => value * (rows / Math.max(rows - 1, 1)));
          same(bitsOf(whole.moments[0]), bits([...means, ...unbiased]));

          const y = own.readsOutput(call) ? halves.y : undefined;
          const normalised: Normalised = {
            x,
            gamma,
            beta,
            epsilon,
            activation,
            y,
            statistics: halves.statistics,
          };
          const { sums: gradients, g } = half.gradientSums(dy, normalised);
          const { dx, dgamma, dbeta, g: wholeG } = own.whole.gradient(dy, normalised);
          same(bitsOf(dbeta), bits(gradients.subarray(0, channels)));
          same(bitsOf(dgamma), bits(gradients.subarray(channels)));
          const averages = gradients.map((value) => value / rows);
          const after = g ? { ...normalised, activation: 'linear' as const } : normalised;
          same(bitsOf(dx), bitsOf(half.gradient(g ?? dy, averages, after)));
          expect(wholeG === undefined).toBe(g === undefined);
          if (wholeG && g) same(bitsOf(wholeG), bitsOf(g));
        }),
    );

    it('rejects gradients of another shape and coefficients with another number of channels', () =>
      tf.tidy(() => {
        const x = tf.zeros([2, 3, 3, 4]);
        const [four, statistics] = [tf.ones([4]), [tf.ones([2, 4])]];
        const call = { x, gamma: four, beta: four, epsilon, activation: 'linear' } as const;
        const moments = { means: new Float64Array(4), variances: new Float64Array(4) };
        const other = tf.zeros([2, 3, 3, 5]);
        const own = runningBatchNorm();
        const half = halvesOf(own);
        expect(() => half.gradientSums(other, { ...call, statistics })).toThrow('differ in shape');
        expect(() => half.normalise({ ...call, residual: other }, moments)).toThrow('differ in shape');
        expect(() => own.whole.gradient(x, { ...call, statistics, y: tf.zeros([2, 3, 4]) })).toThrow(
          'differ in shape',
        );
        expect(() => own.whole.normalise({ ...call, beta: tf.ones([3]) })).toThrow('do not fit');
        expect(() => half.normalise({ ...call, gamma: tf.ones([5]) }, moments)).toThrow('do not fit');
        const transposed = { ...call, statistics: [tf.ones([4, 2])] };
        expect(() => half.gradientSums(x, transposed)).toThrow('do not fit');
      }));
  },
);

describe("batch norm in TensorFlow's fused operations", needs('native TensorFlow', findAddon()), () => {
  it("runs oneDNN's fused operation with ReLU on a CPU", async () => {
    await initBackend('native');
    const backend = tf.backend() as NodeBackend;
    tf.tidy(() => {
      const seen: string[] = [];
      const fused = fusedBatchNorm(backend);
      const { executeMultipleOutputs } = backend;
      backend.executeMultipleOutputs = (name, ...rest) => {
        seen.push(name);
        return executeMultipleOutputs.call(backend, name, ...rest);
      };
      try {
        const call = { x: normal([2, 3, 3, 4], 1), gamma: tf.ones([4]), beta: tf.zeros([4]), epsilon };
        fused.whole.normalise({ ...call, activation: 'relu' });
      } finally {
        backend.executeMultipleOutputs = executeMultipleOutputs;
      }
      expect(seen).toEqual([backend.isUsingGpuDevice ? 'FusedBatchNormV3' : '_MklNativeFusedBatchNormEx']);
    });
  });
});
