import * as tf from '../../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import type { BackendName } from '../../../src/backend/backends.js';
import { initBackend } from '../../../src/backend/index.js';
import type { BatchNormCall, BatchNormOperations, Normalised } from '../../../src/backend/batch-norm.js';
import { composedBatchNorm, runningBatchNorm } from '../../../src/backend/composed-batch-norm.js';
import { fusedBatchNorm } from '../../../src/backend/native/batch-norm/fused.js';
import type { NodeBackend } from '../../../src/backend/native/node-backend.js';
import { backendsHere, normal } from '../backends.js';
import { halvesOf } from '../halves.js';
import {
  gradientSumsOf,
  inputGradientOf,
  momentsOf,
  openOf,
  outputOf,
  sumRows,
} from './batch-norm-reference.js';
import { expectWithin, valuesOf } from './implementations.js';

const epsilon = 1e-5;

/** Shapes with fewer channels than a block, one block, and several blocks with and without a tail. */
const small = [
  [1, 1, 1, 3],
  [2, 3, 5, 16],
  [3, 4, 4, 37],
  [5, 7, 1, 64],
];
/** Shapes with enough rows for several threads. */
const large = [
  [17, 130, 129, 1],
  [8, 32, 32, 19],
];

const forms = [
  { activation: 'linear', residual: false },
  { activation: 'relu', residual: false },
  { activation: 'linear', residual: true },
  { activation: 'relu', residual: true },
] as const;

interface Implementation {
  title: string;
  name: BackendName;
  operations(): BatchNormOperations;
}

/** The batch norm that each backend runs, and its fallbacks. */
const all: Implementation[] = backendsHere.flatMap((name) => [
  { title: name, name, operations: runningBatchNorm },
  ...(name === 'cpu' ? [] : [{ title: `${name}, composed`, name, operations: () => composedBatchNorm }]),
  ...(name === 'native'
    ? [{ title: 'native, fused', name, operations: () => fusedBatchNorm(tf.backend() as NodeBackend) }]
    : []),
]);

interface Images {
  call: BatchNormCall;
  dy: tf.Tensor;
}

function images(shape: number[], { activation, residual }: (typeof forms)[number]): Images {
  const channels = shape[3];
  const call: BatchNormCall = {
    x: normal(shape, 1, 0.5),
    gamma: normal([channels], 3),
    beta: normal([channels], 4),
    residual: residual ? normal(shape, 7) : undefined,
    epsilon,
    activation,
  };
  return { call, dy: normal(shape, 2) };
}

function reference({ x, gamma, beta, residual, activation }: BatchNormCall) {
  const [xs, gammas, betas] = [x, gamma, beta].map(valuesOf);
  const added = residual && valuesOf(residual);
  return { x: xs, gamma: gammas, beta: betas, residual: added, epsilon, relu: activation === 'relu' };
}

function afterwards(
  operations: BatchNormOperations,
  call: BatchNormCall,
  { y, statistics }: { y: tf.Tensor; statistics: tf.Tensor[] },
): Normalised {
  const { residual: _added, ...others } = call;
  return { ...others, statistics, y: operations.readsOutput(call) ? y : undefined };
}

describe.each(all)('batch norm, $title', ({ name, operations }) => {
  const shapes = operations === runningBatchNorm && name !== 'cpu' ? [...small, ...large] : small;
  let batchNorm: BatchNormOperations;
  beforeAll(async () => {
    await initBackend(name);
    batchNorm = operations();
  });

  it.each(shapes)('sums %ix%ix%ix%i accurately for means of 0 and 300', (...shape) => {
    const channels = shape[3];
    for (const mean of [0, 300]) {
      const x = normal(shape, 1, mean);
      const values = valuesOf(x);
      const rows = values.length / channels;
      const own = halvesOf(batchNorm).sums(x);
      const first = sumRows(values.length, channels, (index) => values[index]);
      const magnitude = Math.max(...sumRows(values.length, channels, (index) => Math.abs(values[index])));
      expectWithin(1e-6, own.subarray(0, channels), first, magnitude);
      // The variance is a difference of large numbers: it is compared with fewer digits.
      const { variances } = momentsOf(values, channels);
      const found = own.subarray(channels).map((sum, channel) => sum / rows - (own[channel] / rows) ** 2);
      if (rows > 1) expectWithin(1e-5, found, variances);
      x.dispose();
    }
  });

  it.each(shapes.flatMap((shape) => forms.map((form) => [shape, form] as const)))(
    'agrees with the definition in halves, shape %j, %j',
    (shape, form) =>
      tf.tidy(() => {
        const { call, dy } = images([...shape], form);
        const channels = shape[3];
        const means = Float64Array.from(valuesOf(normal([channels], 5)));
        const variances = valuesOf(normal([channels], 6)).map((value) => Math.abs(value) + 0.25);
        const { normalise, gradientSums, gradient } = halvesOf(batchNorm);
        const wanted = { ...reference(call), means, variances };

        const result = normalise(call, { means, variances });
        const { y } = result;
        expectWithin(2e-6, valuesOf(y), outputOf(wanted));

        const normalised = afterwards(batchNorm, call, result);
        const g = openOf(valuesOf(dy), valuesOf(y), wanted.relu);
        const found = gradientSums(dy, normalised);
        const { sums, magnitudes } = gradientSumsOf(g, wanted);
        for (const half of [0, 1]) {
          const part = found.sums.subarray(half * channels, (half + 1) * channels);
          expectWithin(2e-6, part, sums[half], Math.max(...magnitudes[half]));
        }
        if (found.g) expectWithin(0, valuesOf(found.g), g);
        else expect(form.residual && wanted.relu).toBe(false);

        const averages = Float64Array.from(valuesOf(normal([2 * channels], 8)));
        const after = found.g ? { ...normalised, activation: 'linear' as const } : normalised;
        const dx = gradient(found.g ?? dy, averages, after);
        const both = [averages.subarray(0, channels), averages.subarray(channels)];
        expectWithin(4e-6, valuesOf(dx), inputGradientOf(g, both, wanted));
      }),
  );

  it.each(shapes.flatMap((shape) => forms.map((form) => [shape, form] as const)))(
    'agrees with the definition as a whole, shape %j, %j',
    (shape, form) =>
      tf.tidy(() => {
        const { call, dy } = images([...shape], form);
        const channels = shape[3];
        const rows = tf.util.sizeFromShape([...shape]) / channels;
        const { whole } = batchNorm;
        const own = reference(call);
        const wanted = { ...own, ...momentsOf(own.x, channels) };

        const result = whole.normalise(call);
        const { y, moments } = result;
        // A single row has variance 0, so rounding errors are divided by sqrt(epsilon).
        expectWithin(rows === 1 ? 1e-4 : 1e-5, valuesOf(y), outputOf(wanted));
        const found = moments.flatMap((tensor) => [...valuesOf(tensor)]);
        expectWithin(1e-6, found.slice(0, channels), wanted.means, 2);
        const unbias = rows / Math.max(rows - 1, 1);
        expectWithin(
          1e-5,
          found.slice(channels),
          wanted.variances.map((value) => value * unbias),
          1,
        );

        const g = openOf(valuesOf(dy), valuesOf(y), wanted.relu);
        const { sums, magnitudes } = gradientSumsOf(g, wanted);
        const gradients = whole.gradient(dy, afterwards(batchNorm, call, result));
        expectWithin(2e-6, valuesOf(gradients.dbeta), sums[0], Math.max(...magnitudes[0]));
        if (gradients.g) expectWithin(0, valuesOf(gradients.g), g);
        else expect(form.residual && wanted.relu).toBe(false);
        // The exact gradients of a single row are 0: only rounding errors would be compared.
        if (rows === 1) return;
        expectWithin(1e-5, valuesOf(gradients.dgamma), sums[1], Math.max(...magnitudes[1]));
        const averages = sums.map((half) => half.map((sum) => sum / rows));
        expectWithin(1e-5, valuesOf(gradients.dx), inputGradientOf(g, averages, wanted));
      }),
  );

  it('propagates NaN, so that the loss check finds it', () =>
    tf.tidy(() => {
      const x = tf.tensor4d([NaN, 1, 2, 3], [2, 1, 1, 2]);
      const call = { x, gamma: tf.ones([2]), beta: tf.zeros([2]), epsilon, activation: 'linear' } as const;
      const { y } = batchNorm.whole.normalise(call);
      expect(y.dataSync()[0]).toBeNaN();
      const sums = halvesOf(batchNorm).sums(x);
      expect(sums[0]).toBeNaN();
      expect(sums[1]).toBeCloseTo(4, 5);
    }));
});
