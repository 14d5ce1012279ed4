import { beforeAll, describe, expect, it } from 'vitest';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { lossOf, losses, type ClassWeights, type LossConfig } from '../../src/losses/index.js';
import * as tf from '../../src/tf/index.js';
import { run } from '../collective/ranks.js';
import * as onRank from './fixtures/loss-on-rank.js';
import type { OnRank } from './fixtures/loss-on-rank.js';
import * as references from './references.js';

const { batch, classes, dim, features, labels } = onRank;

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const size = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
  actual.forEach((value, index) => expect(Math.abs(value - expected[index]) / size).toBeLessThan(tolerance));
}

function alone(
  config: LossConfig,
  weights: ClassWeights | undefined,
  rows = features,
  about: { labels?: readonly number[]; isMixed?: boolean } = {},
): OnRank {
  const loss = onRank.createLoss(config, new LocalCommunicator());
  const found = onRank.computeOn(loss, weights, { counts: [batch], rank: 0, features: rows, ...about });
  loss.dispose?.();
  return found;
}

const step = 1e-2;

/** Central differences of the loss; in float32 about three of their digits are right. */
function differences(count: number, valueAt: (index: number, by: number) => number): number[] {
  return Array.from(
    { length: count },
    (_, index) => (valueAt(index, step) - valueAt(index, -step)) / (2 * step),
  );
}

/** Runs `compute` while element `index` of a variable is changed by `by`. */
function moved<T>(variable: tf.Variable, index: number, by: number, compute: () => T): T {
  const before = variable.dataSync<'float32'>().slice();
  const assign = (values: Float32Array) => tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
  const changed = before.slice();
  changed[index] += by;
  assign(changed);
  try {
    return compute();
  } finally {
    assign(before);
  }
}

beforeAll(() => tf.setBackend('cpu'));

describe.each([...losses.names])('the loss %s', (name) => {
  const config = losses.schema.parse({ name });

  it('has gradients for features and class weights that agree with central differences', () => {
    const weights = onRank.weightsOf(config);
    const { values, features: slopes, kernel, bias } = alone(config, weights);
    expect(values.loss).toBeGreaterThan(0);
    const valueOf = (rows?: number[][]) => alone(config, weights, rows).values.loss;
    const wanted = differences(batch * dim, (index, by) => {
      const rows = structuredClone(features);
      rows[Math.floor(index / dim)][index % dim] += by;
      return valueOf(rows);
    });
    expectClose(slopes, wanted, 5e-3);
    expect(slopes.some((slope) => Math.abs(slope) > 1e-3)).toBe(true);
    if (weights === undefined) return;
    for (const [variable, actual] of [
      [weights.kernel, kernel],
      [weights.bias, bias],
    ] as [tf.Variable | undefined, number[]][]) {
      if (variable === undefined) continue;
      expectClose(
        actual,
        differences(variable.size, (index, by) => moved(variable, index, by, () => valueOf())),
        5e-3,
      );
    }
  });

  it('stays finite for features of norm 0', () => {
    const rows = features.map((row, index) => (index % 2 === 0 ? row.map(() => 0) : row));
    const { values, ...gradients } = alone(config, onRank.weightsOf(config), rows);
    expect([values.loss, ...Object.values(gradients).flat()].every(Number.isFinite)).toBe(true);
  });

  it('gives mixed images the weighted sum of the losses of both labels', async () => {
    if (!lossOf(config).mixed) return;
    const weights = onRank.weightsOf(config);
    const own = alone(config, weights);
    const other = alone(config, weights, features, { labels: onRank.others });
    const loss = onRank.createLoss(config, new LocalCommunicator());
    const about = { counts: [batch], rank: 0, features };
    const mixed = onRank.computeOn(loss, weights, { ...about, isMixed: true });
    const weigh = (a: number, b: number) => onRank.share * a + (1 - onRank.share) * b;
    expectClose([mixed.values.loss], [weigh(own.values.loss, other.values.loss)], 1e-6);
    for (const [part, value] of Object.entries(mixed.values.parts))
      expectClose([value], [weigh(own.values.parts[part], other.values.parts[part])], 1e-6);
    for (const key of ['features', 'kernel', 'bias', 'centers'] as const) {
      const wanted = own[key].map((value, index) => weigh(value, other[key][index]));
      expectClose(mixed[key], wanted, 1e-5);
    }
    const plain = onRank.createLoss(config, new LocalCommunicator());
    onRank.computeOn(plain, weights, about);
    for (const one of [loss, plain]) await one.state?.afterEpoch(0, batch);
    expect(loss.state?.values).toEqual(plain.state?.values);
    for (const one of [loss, plain]) one.dispose?.();
  });

  it('keeps no tensor after dispose', () => {
    const weights = onRank.weightsOf(config);
    alone(config, weights);
    const before = tf.memory().numTensors;
    alone(config, weights);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('computes the same after its state is copied into a new loss', async () => {
    const weights = onRank.weightsOf(config);
    const [whole, first] = [0, 1].map(() => onRank.createLoss(config, new LocalCommunicator()));
    const compute = (loss: typeof whole) =>
      onRank.computeOn(loss, weights, { counts: [batch], rank: 0, features });
    for (const loss of [whole, first]) {
      compute(loss);
      await loss.state?.afterEpoch(0, batch);
      compute(loss);
    }
    const second = onRank.createLoss(config, new LocalCommunicator());
    if (first.state && second.state) {
      second.state.values = structuredClone([...first.state.values]);
      second.state.sums = structuredClone([...first.state.sums]);
    }
    expect(compute(second)).toEqual(compute(whole));
    for (const loss of [whole, second]) await loss.state?.afterEpoch(1, 2 * batch);
    expect(second.state?.values).toEqual(whole.state?.values);
    expect(second.state?.shown).toEqual(whole.state?.shown);
    expect(compute(second)).toEqual(compute(whole));
    for (const loss of [whole, first, second]) loss.dispose?.();
  });
});

describe.each([
  ['two ranks', [5, 2]],
  ['three ranks, the second without images', [3, 0, 4]],
])('losses over %s', (_, counts) => {
  let results: Record<string, OnRank>[];
  beforeAll(async () => {
    const outcomes = await run({ worldSize: counts.length, transport: 'ipc', scenario: 'losses', counts });
    results = outcomes.map((outcome) => {
      expect(outcome?.error).toBeUndefined();
      return outcome?.result as Record<string, OnRank>;
    });
  });

  it.each([...losses.names])('%s equals the value and gradients of one rank', (name) => {
    const config = losses.schema.parse({ name });
    const one = alone(config, onRank.weightsOf(config), features, { isMixed: lossOf(config).mixed });
    const ranks = results.map((result) => result[name]);
    for (const { values } of ranks) {
      expect(values).toEqual(ranks[0].values);
      expectClose([values.loss], [one.values.loss], 1e-6);
    }
    expectClose(
      ranks.flatMap((rank, index) => (counts[index] === 0 ? [] : rank.features)),
      one.features,
      1e-5,
    );
    ranks.forEach((rank, index) => {
      if (counts[index] === 0) expect(rank.features.every((value) => value === 0)).toBe(true);
    });
    for (const key of ['kernel', 'bias', 'centers'] as const) {
      const summed = one[key].map((_, at) => ranks.reduce((sum, rank) => sum + rank[key][at], 0));
      expectClose(summed, one[key], 1e-5);
    }
  });
});

describe('a loss with settings', () => {
  /** Class weights n^-balance for classes with 40, 10 and 250 training images, scaled to a mean of 1 over the images. */
  const weightsWhere = (balance: number) => {
    const raw = onRank.images.map((count) => count ** -balance);
    const mean = raw.reduce((sum, weight, label) => sum + weight * onRank.images[label], 0) / 300;
    return raw.map((weight) => weight / mean);
  };
  const cases: [object, references.Reference][] = [
    [{ name: 'pod', lambda: 0.7, delta: { initial: 0.3 } }, references.pod(0.3, 0.7)],
    [{ name: 'softmax' }, references.softmax],
    [{ name: 'softmax', smoothing: 0.2 }, references.smoothedSoftmax(0.2)],
    [{ name: 'softmax', balance: 1 }, references.weighted(weightsWhere(1), references.softmax)],
    [
      { name: 'am-softmax', balance: 0.5 },
      references.weighted(weightsWhere(0.5), references.amSoftmax(30, 0.35)),
    ],
    [{ name: 'cot', weight: 0.7 }, references.cot(0.7)],
    [{ name: 'centroid-softmax', scale: 3 }, references.centroidSoftmax(3)],
    [{ name: 'center-loss', weight: 0.3 }, references.centerLoss(0.3)],
    [{ name: 'sphereface' }, references.sphereFace(4, 5, true)],
    [{ name: 'sphereface', multiple: 3, blend: 0, normalise: false }, references.sphereFace(3, 0, false)],
    [{ name: 'am-softmax', scale: 9, margin: 0.2 }, references.amSoftmax(9, 0.2)],
    [{ name: 'arcface', scale: 6 }, references.arcFace(6, 0.5)],
    [{ name: 'pedcc-loss', weight: 0.3 }, references.pedccLoss(15, 0.5, { weight: 0.3, divisor: () => 1 })],
    [{ name: 'pedcc-loss', reduction: 'image' }, references.pedccLoss(15, 0.5, { divisor: () => batch })],
    [
      { name: 'pedcc-loss', reduction: 'element', power: 2.5, scale: 4 },
      references.pedccLoss(4, 0.5, { power: 2.5, divisor: () => batch * dim }),
    ],
    [{ name: 'dot-regression' }, references.dotRegression],
  ];

  it('is compared with a definition, for every loss', () => {
    const defined = cases.map(([recipe]) => (recipe as { name: string }).name);
    expect(new Set(defined)).toEqual(new Set(losses.names));
  });

  it.each(cases)(
    '%j agrees with its definition in double precision, in value and gradients',
    (recipe, reference) => {
      const config = losses.schema.parse(recipe);
      const weights = onRank.weightsOf(config);
      const flat = weights ? [...weights.kernel.dataSync()] : [...onRank.centroidSource().block(0, classes)];
      const vectors = Array.from({ length: classes }, (_, row) => flat.slice(row * dim, (row + 1) * dim));
      const places = weights?.centers && [...weights.centers.dataSync()];
      const centers =
        places && Array.from({ length: classes }, (_, row) => places.slice(row * dim, (row + 1) * dim));
      const values = { features, vectors, labels, bias: weights?.bias ? [0, 0, 0] : undefined, centers };
      const one = alone(config, weights);
      expectClose([one.values.loss], [reference(values)], 2e-5);
      expectClose(one.features, references.gradientOf(reference, values, 'features'), 2e-5);
      if (weights) expectClose(one.kernel, references.gradientOf(reference, values, 'vectors'), 2e-5);
      if (weights?.bias) expectClose(one.bias, references.gradientOf(reference, values, 'bias'), 2e-5);
      if (weights?.centers) {
        // The gradient of the centers leaves out the weight of the center term, 0.3.
        const slopes = references.gradientOf(reference, values, 'centers').map((slope) => slope / 0.3);
        expectClose(one.centers, slopes, 2e-5);
      }
    },
  );
});
