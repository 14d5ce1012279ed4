import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import type { Communicator, Numbers } from '../../src/collective/communicator.js';
import {
  applyLoss,
  createClassWeights,
  lossOf,
  sourceTargets,
  type ClassWeights,
  type LossConfig,
  type LossValues,
  losses,
} from '../../src/losses/index.js';
import { CentroidSource } from '../../src/pedcc/source.js';
import { stream } from '../../src/util/random.js';
import * as references from './references.js';

const [batch, classes, dim] = [6, 3, 5];
const random = stream(9);
const features = Array.from({ length: batch }, () => Array.from({ length: dim }, () => random.normal()));
const labels = [0, 2, 1, 1, 0, 2];

/** A rank of a job whose other ranks' sums are known; `own` is what it gave to each all-reduce. */
function rankBeside(others: readonly Numbers[]): { communicator: Communicator; own: Numbers[] } {
  const own: Numbers[] = [];
  const allReduceSync = (values: Numbers) => {
    const call = own.push(values.slice()) - 1;
    others[call]?.forEach((value, index) => (values[index] += value));
  };
  return { communicator: Object.assign(new LocalCommunicator(), { allReduceSync }), own };
}

interface Result {
  values: LossValues;
  features: number[];
  kernel: number[];
  bias: number[];
}

function run(
  config: LossConfig,
  start: number,
  end: number,
  weights: ClassWeights | undefined,
  communicator: Communicator,
): Result {
  let result: Result | undefined;
  tf.tidy(() => {
    const centroids = new CentroidSource({ classes, dim, seed: 4 });
    const ours = lossOf(config).create(config, { communicator, targets: sourceTargets(centroids) });
    const rows = end > start ? features.slice(start, end) : [features[0]];
    const z = tf.variable(tf.tensor2d(rows));
    const shard = { labels: Int32Array.from(labels.slice(start, end)), counts: [batch - 2, 2] };
    const all: LossValues[] = [];
    const classWeights = [weights?.kernel, weights?.bias].filter((one) => one !== undefined) as tf.Variable[];
    const inputs = { features: z as unknown as tf.Tensor2D, classWeights };
    const { grads } = tf.variableGrads(() => {
      const { loss, values } = applyLoss(ours, inputs, shard, { isRoot: true });
      all.push(values);
      return loss;
    }, [z, ...classWeights]);
    const data = (variable?: tf.Variable) => (variable ? [...grads[variable.name].dataSync()] : []);
    ours.dispose?.();
    result = {
      values: all[0],
      features: data(z),
      kernel: data(weights?.kernel as tf.Variable | undefined),
      bias: data(weights?.bias as tf.Variable | undefined),
    };
    z.dispose();
  });
  return result as unknown as Result;
}

/** The same loss on two ranks with 4 and 2, or 6 and 0 rows, as each other's all-reduces make it. */
function together(config: LossConfig, weights: ClassWeights | undefined, split: number): Result[] {
  let sums: Numbers[][] = [[], []];
  let results: Result[] = [];
  for (let round = 0; round < 2; round++) {
    const ranks = [0, 1].map((rank) => rankBeside(sums[1 - rank]));
    results = ranks.map(({ communicator }, rank) =>
      run(config, rank === 0 ? 0 : split, rank === 0 ? split : batch, weights, communicator),
    );
    sums = ranks.map(({ own }) => own);
  }
  return results;
}

function expectClose(actual: readonly number[], expected: readonly number[], tolerance = 2e-5): void {
  expect(actual.length).toBe(expected.length);
  const size = Math.max(...expected.map(Math.abs), 1e-9);
  actual.forEach((value, index) => expect(Math.abs(value - expected[index]) / size).toBeLessThan(tolerance));
}

const cases: [object, references.Reference][] = [
  [{ name: 'pod', lambda: 0.7, delta: { initial: 0.3 } }, references.pod(0.3, 0.7)],
  [{ name: 'softmax' }, references.softmax],
  [{ name: 'am-softmax', scale: 9, margin: 0.2 }, references.amSoftmax(9, 0.2)],
  [{ name: 'arcface', scale: 6 }, references.arcFace(6, 0.5)],
  [{ name: 'pedcc-loss' }, references.pedccLoss(15, 0.5, 1)],
  [{ name: 'pedcc-loss', power: 2.5, scale: 4 }, references.pedccLoss(4, 0.5, 2.5)],
  [{ name: 'dot-regression' }, references.dotRegression],
];

describe('losses', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('are all tried here', () => {
    expect(new Set(cases.map(([recipe]) => (recipe as LossConfig).name))).toEqual(new Set(losses.names));
  });

  it.each(cases)('%j is its definition on one rank, and the same summed over two', (recipe, reference) => {
    const config = losses.schema.parse(recipe);
    const weights = createClassWeights(lossOf(config), { classes, dim, seed: 3 });
    const centroids = new CentroidSource({ classes, dim, seed: 4 });
    const flat = weights ? [...weights.kernel.dataSync()] : [...centroids.block(0, classes)];
    const vectors = Array.from({ length: classes }, (_, row) => flat.slice(row * dim, (row + 1) * dim));
    const values = { features, vectors, labels, bias: weights?.bias ? [0, 0, 0] : undefined };
    const one = run(config, 0, batch, weights, new LocalCommunicator());
    expectClose([one.values.loss], [reference(values)]);
    expectClose(one.features, references.gradientOf(reference, values, 'features'));
    if (weights) expectClose(one.kernel, references.gradientOf(reference, values, 'vectors'));
    if (weights?.bias) expectClose(one.bias, references.gradientOf(reference, values, 'bias'));

    for (const split of [4, 6]) {
      const ranks = together(config, weights, split);
      for (const { values } of ranks) expectClose([values.loss], [one.values.loss], 1e-6);
      expectClose([...ranks[0].features, ...(split < batch ? ranks[1].features : [])], one.features, 1e-5);
      if (split === batch) expect(ranks[1].features.every((value) => value === 0)).toBe(true);
      const summed = (key: 'kernel' | 'bias') => ranks[0][key].map((value, at) => value + ranks[1][key][at]);
      expectClose(summed('kernel'), one.kernel, 1e-5);
      expectClose(summed('bias'), one.bias, 1e-5);
    }
  });

  it('leaves self-correlation out, or takes it from each rank alone, where POD is told so', () => {
    const config = (sc: string) => losses.schema.parse({ name: 'pod', lambda: 0.7, sc });
    const whole = run(config('global'), 0, batch, undefined, new LocalCommunicator());
    const off = run(config('off'), 0, batch, undefined, new LocalCommunicator());
    expect(off.values.parts).toEqual({ nac: whole.values.parts.nac, sc: 0 });
    expect(off.values.loss).toBe(off.values.parts.nac);
    const alone = run(config('local'), 0, batch, undefined, new LocalCommunicator());
    expectClose(alone.features, whole.features, 1e-6);

    const ranks = together(config('local'), undefined, 4);
    const parts = [
      [0, 4],
      [4, 6],
    ].map(([start, end]) => {
      const centroids = new CentroidSource({ classes, dim, seed: 4 });
      const residuals = features.slice(start, end).map((z, row) => {
        const own = centroids.rows([labels[start + row]]);
        const size = Math.hypot(...z);
        return z.map((value, at) => value / size - own[at]);
      });
      let sum = 0;
      for (let i = 0; i < dim; i++) {
        for (let j = 0; j < dim; j++) {
          const c = residuals.reduce((total, u) => total + u[i] * u[j], 0) / (end - start - 1);
          if (i !== j) sum += c * c;
        }
      }
      return ((end - start) / batch) * (sum / (dim - 1));
    });
    for (const { values } of ranks) {
      expectClose([values.parts.sc as number], [parts[0] + parts[1]]);
      expectClose([values.loss], [(whole.values.parts.nac as number) + 0.7 * (parts[0] + parts[1])]);
    }
  });
});
