import * as tf from '../../src/tf/index.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { configSchema, type ConfigInput } from '../../src/config/schema.js';
import { randomStream } from '../../src/util/random.js';
import { Parameters, type ParameterGroup } from '../../src/parallel/parameters.js';
import { ShardedOptimiser } from '../../src/parallel/sharded-optimiser.js';

const rate = 0.05;
const random = randomStream(3);
const matrix = 300;
const length = matrix + 20;
const start = Float64Array.from({ length }, () => random.normal());
const gradients = [1, 2, 3].map(() => Float64Array.from({ length }, () => random.normal()));

let variables: tf.Variable[];
beforeAll(async () => {
  await tf.setBackend('cpu');
  variables = [
    tf.variable(tf.tensor2d(Float32Array.from(start.subarray(0, matrix)), [20, 15]), true, 'dense/kernel'),
    tf.variable(tf.tensor1d(Float32Array.from(start.subarray(matrix))), true, 'dense/bias'),
  ];
});
afterAll(() => tf.dispose(variables));

async function create(
  optimizer: ConfigInput['optimizer'],
  bucketBytes = 4_000_000,
  groups?: readonly ParameterGroup[],
) {
  const communicator = new LocalCommunicator();
  const parameters = new Parameters(variables, groups);
  const weights = communicator.allocate(length);
  parameters.read(weights);
  const config = configSchema.parse({
    data: { name: 'digits' },
    model: { name: 'small-cnn' },
    learningRate: { schedule: 'constant', rate },
    optimizer,
    distributed: { bucketBytes },
  });
  return { optimiser: new ShardedOptimiser({ parameters, weights, communicator, config }), weights };
}

async function update(optimiser: ShardedOptimiser, values: ArrayLike<number>, count = 1): Promise<void> {
  optimiser.gradients.set(values);
  optimiser.begin({ rate, count });
  for (let index = optimiser.buckets.length - 1; index >= 0; index--) optimiser.reduce(index);
  await optimiser.update();
}

const norm = (values: Float64Array) => Math.hypot(...values);

/** Each update in double precision, over all parameters, written from its definition. */
const references = {
  sgd(weights: Float64Array, state: Float64Array[], g: Float64Array, nesterov: boolean) {
    weights.forEach((weight, at) => {
      const slope = g[at] + 0.1 * weight;
      const speed = (state[0][at] = 0.9 * state[0][at] + slope);
      weights[at] = weight - rate * (nesterov ? slope + 0.9 * speed : speed);
    });
  },
  adamw(weights: Float64Array, [m, s]: Float64Array[], g: Float64Array, step: number) {
    weights.forEach((weight, at) => {
      m[at] = 0.9 * m[at] + 0.1 * g[at];
      s[at] = 0.999 * s[at] + 0.001 * g[at] ** 2;
      const decayed = weight * (1 - rate * (at < matrix ? 0.1 : 0));
      const [mean, square] = [m[at] / (1 - 0.9 ** step), s[at] / (1 - 0.999 ** step)];
      weights[at] = decayed - (rate * mean) / (Math.sqrt(square) + 1e-8);
    });
  },
  lars(weights: Float64Array, [v]: Float64Array[], g: Float64Array) {
    const [w, slope] = [weights, g].map((values) => norm(values.subarray(0, matrix)));
    const local = (0.02 * w) / (slope + 0.1 * w);
    weights.forEach((weight, at) => {
      const pull = (at < matrix ? local : 1) * (g[at] + 0.1 * weight);
      v[at] = 0.9 * v[at] + pull;
      weights[at] = weight - rate * v[at];
    });
  },
};

type Reference = (weights: Float64Array, state: Float64Array[], g: Float64Array, step: number) => void;

const cases: [string, ConfigInput['optimizer'], Reference][] = [
  ['sgd', { weightDecay: 0.1 }, (w, s, g) => references.sgd(w, s, g, false)],
  ['nesterov', { weightDecay: 0.1, nesterov: true }, (w, s, g) => references.sgd(w, s, g, true)],
  ['adamw', { name: 'adamw', weightDecay: 0.1, skipDecay: true }, references.adamw],
  ['lars', { name: 'lars', weightDecay: 0.1, trust: 0.02 }, references.lars],
];

describe.each(cases)('ShardedOptimiser with %s', (_name, optimizer, reference) => {
  it.each([4_000_000, 256])(
    'agrees with the definition over three updates, with buckets of %i bytes',
    async (bytes) => {
      const { optimiser, weights } = await create(optimizer, bytes);
      const wanted = start.slice();
      const state = [new Float64Array(length), new Float64Array(length)];
      for (const [index, values] of gradients.entries()) {
        reference(wanted, state, values, index + 1);
        await update(optimiser, values);
      }
      wanted.forEach((value, at) => expect(weights[at]).toBeCloseTo(value, 5));
      expect(optimiser.state.updates).toBe(3);
    },
  );
});

describe('ShardedOptimiser', () => {
  it('clips the mean gradient of the micro-batches to clipNorm, over all parameters together', async () => {
    const { optimiser, weights } = await create({ momentum: 0, clipNorm: 2 });
    await update(optimiser, gradients[0], 2);
    const longer = norm(gradients[0]) / 2;
    expect(longer).toBeGreaterThan(2);
    weights.forEach((weight, at) =>
      expect(weight).toBeCloseTo(start[at] - (rate * gradients[0][at]) / longer, 5),
    );
    const before = weights.slice();
    await update(
      optimiser,
      gradients[0].map((value) => value / 100),
    );
    weights.forEach((weight, at) =>
      expect(weight).toBeCloseTo(before[at] - (rate * gradients[0][at]) / 100, 6),
    );
  });

  it('continues from a gathered state with equal bits', async () => {
    const first = await create({ name: 'adamw' });
    await update(first.optimiser, gradients[0]);
    const second = await create({ name: 'adamw' }, 256);
    second.weights.set(first.weights);
    await second.optimiser.state.scatter(await first.optimiser.state.gather(), first.optimiser.state.updates);
    for (const { optimiser } of [first, second]) await update(optimiser, gradients[1]);
    expect(second.weights).toEqual(first.weights);
  });

  it.each([NaN, Infinity])(
    'reports the parameter, element and step of a gradient that is %s',
    async (value) => {
      const { optimiser } = await create({}, 256);
      await update(optimiser, gradients[0]);
      const broken = gradients[1].slice();
      broken[matrix + 7] = value;
      const message = new RegExp(`dense/bias.*, element 7, is ${value} in step 1:`);
      const error: unknown = await update(optimiser, broken).catch((reason: unknown) => reason);
      expect(optimiser.explain(error)).toMatchObject({
        code: 'GRADIENT_NOT_FINITE',
        message: expect.stringMatching(message),
      });
    },
  );
});

describe('ShardedOptimiser with groups of parameters', () => {
  it('leaves frozen groups unchanged and scales the rate of the others by their factor', async () => {
    const optimizer = { name: 'adamw', weightDecay: 0.1 } as const;
    const groups = (frozen: boolean, factor: number) => [
      { frozen, factor: 1 },
      { frozen: false, factor },
    ];
    const plain = await create(optimizer);
    const frozen = await create(optimizer, 4_000_000, groups(true, 0.5));
    const scaled = await create(optimizer, 4_000_000, groups(false, 0.5));
    expect(plain.optimiser.buckets).toHaveLength(1);
    expect(frozen.optimiser.buckets).toEqual([
      { start: 0, end: matrix },
      { start: matrix, end: length },
    ]);
    for (const { optimiser } of [plain, frozen, scaled]) await update(optimiser, gradients[0]);
    const initial = Float32Array.from(start);
    expect(frozen.weights.subarray(0, matrix)).toEqual(initial.subarray(0, matrix));
    expect(scaled.weights.subarray(0, matrix)).toEqual(plain.weights.subarray(0, matrix));
    for (let at = matrix; at < length; at++) {
      const [whole, half] = [plain, scaled].map(({ weights }) => weights[at] - initial[at]);
      expect(half / whole).toBeCloseTo(0.5, 4);
      expect(frozen.weights[at]).toBe(scaled.weights[at]);
    }
  });
});
