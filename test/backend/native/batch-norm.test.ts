import * as tf from '../../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../../src/backend/index.js';
import { findAddon } from '../../../src/backend/native/cache.js';
import {
  channelSums,
  hasNormalisePasses,
  normaliseGradient,
  normalisePass,
  normaliseSums,
  wholeNormalise,
  wholeNormaliseGradient,
} from '../../../src/backend/batch-norm.js';
import { type Activation } from '../../../src/backend/operations.js';
import { normal } from '../backends.js';

const epsilon = 1e-5;

/** Fewer channels than a block, as many, more, and blocks with a tail; few rows, and enough for several threads. */
const shapes = [
  [1, 1, 1, 3],
  [2, 3, 5, 16],
  [3, 4, 4, 37],
  [5, 7, 1, 64],
  [17, 130, 129, 1],
  [40, 32, 32, 19],
];

/** Sums of `value(row, channel)` over rows, in double precision. */
function sums(rows: number, channels: number, value: (index: number, channel: number) => number): number[] {
  const result = new Array<number>(channels).fill(0);
  for (let index = 0; index < rows * channels; index++)
    result[index % channels] += value(index, index % channels);
  return result;
}

/** Relative to the largest value, or to a given magnitude of what was added up. */
function expectRelative(
  actual: ArrayLike<number>,
  expected: readonly number[],
  tolerance: number,
  scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30),
): void {
  expect(actual.length).toBe(expected.length);
  for (const [index, value] of expected.entries())
    if (!(Math.abs(actual[index] - value) < tolerance * scale))
      throw new Error(`element ${index} is ${actual[index]}, not ${value}`);
}

describe.runIf(findAddon()?.operations)('batch norm in operations of its own', () => {
  beforeAll(async () => void (await initBackend('native')));

  it('is what native TensorFlow on a CPU has', () => expect(hasNormalisePasses()).toBe(true));

  it.each(shapes)('sums %ix%ix%ix%i, far from zero and near', (...shape) => {
    const channels = shape[3];
    const rows = tf.util.sizeFromShape(shape) / channels;
    for (const mean of [0, 300]) {
      const x = normal(shape, 1, mean);
      const values = x.dataSync<'float32'>();
      const own = channelSums(x);
      const first = sums(rows, channels, (index) => values[index]);
      const magnitude = Math.max(...sums(rows, channels, (index) => Math.abs(values[index])));
      expectRelative(own.subarray(0, channels), first, 1e-6, magnitude);
      // The variance is what counts, and all that is left of its digits.
      const means = first.map((sum) => sum / rows);
      const squares = sums(rows, channels, (index, channel) => (values[index] - means[channel]) ** 2);
      const variances = own.subarray(channels).map((sum, channel) => sum - own[channel] ** 2 / rows);
      if (rows > 1) expectRelative(variances, squares, 1e-5);
      x.dispose();
    }
  });

  it.each(
    shapes.flatMap((shape) =>
      (['linear', 'relu'] as const).map((activation) => [shape, activation] as const),
    ),
  )('normalises %j, %s, and its gradient', (shape: number[], activation: Activation) => {
    const channels = shape[3];
    const rows = tf.util.sizeFromShape(shape) / channels;
    const [x, dy] = [normal(shape, 1, 0.5), normal(shape, 2)];
    const [gamma, beta] = [normal([channels], 3), normal([channels], 4)];
    const [statistics, averages] = [normal([2, channels], 5), normal([2, channels], 6)];
    const read = (tensor: tf.Tensor) => Float64Array.from(tensor.dataSync<'float32'>());
    const [xs, dys, gammas, betas] = [x, dy, gamma, beta].map(read);
    const [known, means] = [statistics, averages].map(read);
    const xhat = (index: number) =>
      (xs[index] - known[index % channels]) * known[channels + (index % channels)];
    const v = (index: number) => gammas[index % channels] * xhat(index) + betas[index % channels];
    const pass = { x, gamma, beta, statistics, activation };

    const ys = read(normalisePass(pass));
    const isOpen = (index: number) => activation === 'linear' || ys[index] > 0;
    const expected = Array.from(xs, (_, index) => (activation === 'relu' ? Math.max(0, v(index)) : v(index)));
    expectRelative(ys, expected, 1e-6);

    const g = (index: number) => (isOpen(index) ? dys[index] : 0);
    const { sums: own } = normaliseSums(dy, pass);
    expectRelative(own.subarray(0, channels), sums(rows, channels, g), 2e-6);
    expectRelative(
      own.subarray(channels),
      sums(rows, channels, (index) => g(index) * xhat(index)),
      2e-6,
    );

    const dx = Array.from(xs, (_, index) => {
      const channel = index % channels;
      const inner = g(index) - means[channel] - xhat(index) * means[channels + channel];
      return gammas[channel] * known[channels + channel] * inner;
    });
    expectRelative(read(normaliseGradient(dy, averages, pass)), dx, 2e-6);

    const residual = normal(shape, 7);
    const rs = read(residual);
    const sum = (index: number) => v(index) + rs[index];
    const added = normalisePass(pass, residual);
    const follow = (value: number) => (activation === 'relu' ? Math.max(0, value) : value);
    expectRelative(
      read(added),
      Array.from(xs, (_, index) => follow(sum(index))),
      1e-6,
    );
    if (activation === 'linear') return;
    const masked = normaliseSums(dy, pass, added);
    const open = read(added);
    const inner = Float64Array.from(dys, (value, index) => (open[index] > 0 ? value : 0));
    expect(read(masked.g as tf.Tensor).every((value, index) => value === inner[index])).toBe(true);
    expectRelative(
      masked.sums.subarray(0, channels),
      sums(rows, channels, (index) => inner[index]),
      2e-6,
    );
    expectRelative(
      masked.sums.subarray(channels),
      sums(rows, channels, (index) => inner[index] * xhat(index)),
      2e-6,
    );
  });

  it.each(
    shapes.flatMap((shape) =>
      [undefined, 'linear', 'relu'].map(
        (residual) => [shape, residual] as [number[], Activation | undefined],
      ),
    ),
  )('gives the same whole, of %j, residual and then %s', (shape, residual) => {
    const channels = shape[3];
    const rows = tf.util.sizeFromShape(shape) / channels;
    const [x, dy] = [normal(shape, 1, 0.5), normal(shape, 2)];
    const [gamma, beta] = [normal([channels], 3), normal([channels], 4)];
    const added = residual ? normal(shape, 7) : undefined;
    const activation = residual ?? 'relu';
    const bits = (values: ArrayLike<number>) => Buffer.from(Float32Array.from(values).buffer);
    const read = (tensor: tf.Tensor) => bits(tensor.dataSync());
    const same = (actual: tf.Tensor, expected: Buffer) => expect(read(actual).equals(expected)).toBe(true);

    const { y, statistics, moments } = wholeNormalise({ x, gamma, beta, activation }, epsilon, added);
    const own = channelSums(x);
    const means = own.subarray(0, channels).map((value) => value / rows);
    const variances = own.subarray(channels).map((value, c) => Math.max(value / rows - means[c] ** 2, 0));
    const inverses = variances.map((value) => 1 / Math.sqrt(value + Math.fround(epsilon)));
    const unbiased = variances.map((value) => value * (rows / Math.max(rows - 1, 1)));
    same(statistics, bits([...means, ...inverses]));
    same(moments, bits([...means, ...unbiased]));
    const pass = { x, gamma, beta, statistics, activation };
    same(y, read(normalisePass(pass, added)));

    const masked = residual === 'relu' ? y : undefined;
    const [dx, dgamma, dbeta, g] = wholeNormaliseGradient(dy, pass, masked);
    const halves = normaliseSums(dy, pass, masked);
    same(dbeta, bits(halves.sums.subarray(0, channels)));
    same(dgamma, bits(halves.sums.subarray(channels)));
    const averages = tf.tensor2d([...halves.sums.map((value) => value / rows)], [2, channels]);
    const inner = halves.g ?? dy;
    const after = { ...pass, activation: masked ? 'linear' : activation } as const;
    same(dx, read(normaliseGradient(inner, averages, after)));
    if (halves.g) same(g, read(halves.g));
    else expect(g).toBeUndefined();
  });

  it('keeps what is not a number, for the loss to find', () => {
    const x = tf.tensor4d([NaN, 1, 2, 3], [2, 1, 1, 2]);
    const ones = tf.ones([2]);
    const pass = { x, gamma: ones, beta: ones, statistics: tf.ones([2, 2]), activation: 'relu' } as const;
    expect([...normalisePass(pass).dataSync()]).toEqual([NaN, 1, 2, 3]);
    expect(channelSums(x)[0]).toBeNaN();
    expect(channelSums(x)[1]).toBe(4);
  });

  it('refuses a gradient of another shape and coefficients of other channels', () => {
    const x = tf.zeros([2, 3, 3, 4]);
    const four = tf.ones([4]);
    const pass = { x, gamma: four, beta: four, statistics: tf.ones([2, 4]), activation: 'linear' } as const;
    expect(() => normaliseSums(tf.zeros([2, 3, 3, 5]), pass)).toThrow('differ in shape');
    expect(() => normalisePass(pass, tf.zeros([2, 3, 3, 5]))).toThrow('differ in shape');
    expect(() => wholeNormaliseGradient(x, pass, tf.zeros([2, 3, 4]))).toThrow('differ in shape');
    expect(() => wholeNormalise({ ...pass, beta: tf.ones([3]) }, epsilon)).toThrow('do not fit');
    expect(() => normalisePass({ ...pass, gamma: tf.ones([5]) })).toThrow('do not fit');
    expect(() => normalisePass({ ...pass, statistics: tf.ones([4, 2]) })).toThrow('do not fit');
  });
});
