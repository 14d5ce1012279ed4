import { beforeAll, describe, expect, it } from 'vitest';
import type { BatchNormCall, Normalised } from '../../../src/backend/batch-norm.js';
import { runningBatchNorm } from '../../../src/backend/composed-batch-norm.js';
import { initBackend } from '../../../src/backend/index.js';
import { findAddon } from '../../../src/backend/native/cache.js';
import { convolve, type Convolution } from '../../../src/backend/operations.js';
import { inPrecision } from '../../../src/backend/precision.js';
import { running } from '../../../src/backend/running.js';
import * as tf from '../../../src/tf/index.js';
import { normal } from '../backends.js';
import {
  gradientSumsOf,
  inputGradientOf,
  momentsOf,
  openOf,
  outputOf,
} from '../conformance/batch-norm-reference.js';
import { needs } from '../../needs.js';

const significant = 8;

/** The nearest number with 8 significant bits; on a tie, the number whose last bit is 0. */
function rounded(value: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - significant + 1);
  const [below, above] = [Math.floor(value / unit), Math.ceil(value / unit)];
  const [down, up] = [value / unit - below, above - value / unit];
  if (down === up) return (below % 2 === 0 ? below : above) * unit;
  return (down < up ? below : above) * unit;
}

const valuesOf = (tensor: tf.Tensor) => Float64Array.from(tensor.dataSync());
const roundedOf = (tensor: tf.Tensor) => valuesOf(tensor).map(rounded);
const bf16 = <T>(compute: () => T) => inPrecision('bf16', compute);

/** Expects bfloat16 values within one step of bfloat16, plus `slack`, of the wanted values. */
function expectRounded(actual: tf.Tensor, wanted: ArrayLike<number>, slack = 1e-6): void {
  valuesOf(actual).forEach((value, index) => {
    expect(rounded(value)).toBe(value);
    expect(Math.abs(value - wanted[index])).toBeLessThanOrEqual(Math.abs(wanted[index]) / 128 + slack);
  });
}

describe(
  'operations in bfloat16',
  needs('native TensorFlow with operations of its own', findAddon()?.operations),
  () => {
    beforeAll(async () => void (await initBackend('native')));

    const one: Omit<Convolution, 'activation'> = { strides: [1, 1], pad: 'valid', dilations: [1, 1] };
    const identity = (channels: number) =>
      tf.reshape<tf.Rank.R4>(tf.eye(channels), [1, 1, channels, channels]);

    it('round inputs to nearest, ties to even', () =>
      tf.tidy(() => {
        const ties = [1 + 1 / 256, 1 + 3 / 256, -1 - 1 / 256, -1 - 3 / 256, 1 + 1 / 256 + 2 ** -20];
        const given = [...ties, 0, 255.4999, 3.3895e38, 2 ** -100 * 1.37, NaN, Infinity];
        const x = tf.tensor4d(given, [1, given.length, 1, 1]);
        const y = bf16(() => convolve(x, identity(1), undefined, { ...one, activation: 'linear' }));
        const wanted = given.map(Math.fround).map(rounded);
        expect(wanted.slice(0, 5)).toEqual([1, 1 + 4 / 256, -1, -1 - 4 / 256, 1 + 2 / 256]);
        expect([...valuesOf(y)]).toEqual(wanted);
      }));

    it.each([3, 16, 21])('convolve %i channels, with gradients', (channels) =>
      tf.tidy(() => {
        const size = 5;
        const shape = [2, size, size, channels] as [number, number, number, number];
        const filters = 4;
        const x = normal(shape, 1) as tf.Tensor4D;
        const filter = normal([3, 3, channels, filters], 2) as tf.Tensor4D;
        const dy = normal([2, 3, 3, filters], 3) as tf.Tensor4D;
        const [xs, ws, dys] = [x, filter, dy].map(roundedOf);
        const y = new Float64Array(dy.size);
        const dx = new Float64Array(x.size);
        const dw = new Float64Array(filter.size);
        for (let image = 0; image < 2; image++)
          for (let row = 0; row < 3; row++)
            for (let column = 0; column < 3; column++)
              for (let o = 0; o < filters; o++)
                for (let tap = 0; tap < 9; tap++)
                  for (let c = 0; c < channels; c++) {
                    const [up, left] = [Math.floor(tap / 3), tap % 3];
                    const at = ((image * size + row + up) * size + column + left) * channels + c;
                    const place = ((image * 3 + row) * 3 + column) * filters + o;
                    const weight = (tap * channels + c) * filters + o;
                    y[place] += xs[at] * ws[weight];
                    dx[at] += dys[place] * ws[weight];
                    dw[weight] += dys[place] * xs[at];
                  }
        const geometry = { ...one, dataFormat: 'NHWC' };
        const engine = tf.engine();
        const run = (name: string, inputs: tf.NamedTensorMap, attributes: object) =>
          engine.runKernel<tf.Tensor>(name, inputs, { ...geometry, ...attributes } as tf.NamedAttrMap);
        bf16(() => {
          expectRounded(run('Conv2D', { x, filter }, {}), y, 1e-2);
          expectRounded(run('Conv2DBackpropInput', { dy, filter }, { inputShape: shape }), dx, 1e-2);
          expectRounded(run('Conv2DBackpropFilter', { x, dy }, { filterShape: filter.shape }), dw, 1e-2);
        });
      }),
    );

    it.each(['linear', 'relu'] as const)(
      'add a bias in float32 and round once, activation %s',
      (activation) =>
        tf.tidy(() => {
          const [x, bias] = [normal([3, 5, 7, 19], 1), normal([19], 2)];
          const dy = normal(x.shape, 3);
          const relu = (value: number) => (activation === 'relu' ? Math.max(0, value) : value);
          const y = bf16(() => convolve(x as tf.Tensor4D, identity(19), bias, { ...one, activation }));
          const biases = valuesOf(bias);
          const wanted = roundedOf(x).map((value, index) =>
            rounded(relu(Math.fround(value + biases[index % 19]))),
          );
          expect(valuesOf(y)).toEqual(wanted);

          const given = activation === 'relu' ? y : undefined;
          const { g, sum } = bf16(() => running().biasGradient?.(dy, given)) as {
            g: tf.Tensor;
            sum: tf.Tensor;
          };
          const open = openOf(roundedOf(dy), wanted, activation === 'relu');
          if (given) expect(valuesOf(g)).toEqual(open);
          valuesOf(sum).forEach((value, channel) => {
            const exact = open.filter((_, index) => index % 19 === channel).reduce((a, b) => a + b);
            expect(value).toBeCloseTo(exact, 4);
          });
        }),
    );

    it('multiply matrices with float32 sums', () =>
      tf.tidy(() => {
        const [a, b] = [normal([4, 300], 1) as tf.Tensor2D, normal([5, 300], 2) as tf.Tensor2D];
        const [as, bs] = [a, b].map(roundedOf);
        const wanted = Float64Array.from({ length: 20 }, (_, index) => {
          const [row, column] = [Math.floor(index / 5), index % 5];
          let sum = 0;
          for (let k = 0; k < 300; k++) sum += as[row * 300 + k] * bs[column * 300 + k];
          return sum;
        });
        expectRounded(
          bf16(() => tf.matMul(a, b, false, true)),
          wanted,
          1e-2,
        );
      }));

    it.each([
      ['linear', false],
      ['relu', false],
      ['relu', true],
    ] as const)('normalise batches, activation %s, residual %s', (activation, added) =>
      tf.tidy(() => {
        const shape = [4, 6, 5, 21];
        const channels = shape[3];
        const [x, dy] = [normal(shape, 1, 0.5), normal(shape, 2)];
        const [gamma, beta] = [normal([channels], 3), normal([channels], 4)];
        const residual = added ? normal(shape, 7) : undefined;
        const call: BatchNormCall = { x, gamma, beta, residual, epsilon: 1e-5, activation };
        const own = runningBatchNorm();
        const relu = activation === 'relu';
        const xs = roundedOf(x);
        const moments = momentsOf(xs, channels);
        const reference = {
          ...{ x: xs, gamma: valuesOf(gamma), beta: valuesOf(beta), epsilon: 1e-5, relu, ...moments },
          residual: residual && roundedOf(residual),
        };
        const { y, statistics } = bf16(() => own.whole.normalise(call));
        expectRounded(y, outputOf(reference), 1e-5);
        statistics[0].dataSync<'float32'>().forEach((value, index) => {
          const [mean, variance] = [moments.means[index], moments.variances[index - channels]];
          expect(value).toBeCloseTo(index < channels ? mean : 1 / Math.sqrt(variance + 1e-5), 5);
        });

        const saved = own.readsOutput(call) ? y : undefined;
        const normalised: Normalised = { ...call, statistics, y: saved };
        const { dx, dgamma, dbeta, g } = bf16(() => own.whole.gradient(dy, normalised));
        const open = openOf(roundedOf(dy), valuesOf(y), relu);
        if (g) expect(valuesOf(g)).toEqual(open);
        const { sums } = gradientSumsOf(open, reference);
        [dbeta, dgamma].forEach((gradient, which) =>
          valuesOf(gradient).forEach((value, c) => expect(value).toBeCloseTo(sums[which][c], 3)),
        );
        const rows = x.size / channels;
        const averages = sums.map((sum) => sum.map((value) => value / rows));
        expectRounded(dx, inputGradientOf(open, averages, reference), 1e-4);
      }),
    );

    it('leak no tensor, and leave operations outside inPrecision in float32', () => {
      const x = normal([1, 4, 4, 2], 1) as tf.Tensor4D;
      const filter = identity(2);
      const linear: Convolution = { ...one, activation: 'linear' };
      const { numTensors } = tf.memory();
      tf.tidy(() => void bf16(() => convolve(x, filter, undefined, linear)));
      expect(tf.memory().numTensors).toBe(numTensors);
      tf.tidy(() => void expect(valuesOf(convolve(x, filter, undefined, linear))).toEqual(valuesOf(x)));
      tf.dispose([x, filter]);
    });
  },
);
