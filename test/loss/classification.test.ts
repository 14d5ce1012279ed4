import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { classification, dotRegression, type Margin } from '../../src/loss/index.js';
import { stream } from '../../src/random.js';
import * as references from './references.js';
import { accelerated } from '../backend/backends.js';

const [rows, classes, dim] = [5, 4, 6];

function table(count: number, size: number, seed: number, scale: number): number[][] {
  const random = stream(seed);
  return Array.from({ length: count }, () => Array.from({ length: size }, () => scale * random.normal()));
}

const values: references.Case = {
  features: table(rows, dim, 1, 1.5),
  vectors: table(classes, dim, 2, 0.7),
  bias: [0.3, -0.2, 0.5, 0],
  labels: [2, 0, 3, 3, 1],
};
/** One row is its own class's vector turned round, beyond pi - m; another is nearly along it. */
values.features[1] = values.vectors[0].map((value, index) => -2 * value + 0.1 * index);
values.features[3] = values.vectors[3].map((value, index) => 1.5 * value + 0.05 * index);

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance = 2e-5): void {
  expect(actual.length).toBe(expected.length);
  const size = Math.max(...expected.map(Math.abs), 1e-9);
  expected.forEach((value, index) =>
    expect(Math.abs(actual[index] - value) / size, `number ${index}`).toBeLessThan(tolerance),
  );
}

const losses: [string, Margin, references.Reference][] = [
  ['softmax', { kind: 'none' }, references.softmax],
  ['am-softmax', { kind: 'cosine', scale: 12, margin: 0.35 }, references.amSoftmax(12, 0.35)],
  ['arcface', { kind: 'angle', scale: 8, margin: 0.5 }, references.arcFace(8, 0.5)],
];

describe.each(['cpu' as const, ...accelerated])('on %s', (backend) => {
  beforeAll(() => initBackend(backend));

  it.each(losses)('%s agrees with its definition, in value and gradients', (_, margin, reference) => {
    tf.tidy(() => {
      const { sum, gradients } = classification({
        features: tf.tensor2d(values.features),
        kernel: tf.tensor2d(values.vectors),
        bias: tf.tensor1d(values.bias as number[]),
        labels: tf.tensor1d(values.labels, 'int32'),
        margin,
      });
      const { features, kernel, bias } = gradients();
      const mean = (gradient: tf.Tensor) => tf.div(gradient, rows).dataSync();
      expectClose(mean(sum), [reference(values)]);
      expectClose(mean(features), references.gradientOf(reference, values, 'features'));
      expectClose(mean(kernel), references.gradientOf(reference, values, 'vectors'));
      if (margin.kind === 'none') expectClose(mean(bias), references.gradientOf(reference, values, 'bias'));
      else expect([...mean(bias)]).toEqual([0, 0, 0, 0]);
    });
  });

  it.each(losses)('%s stays finite for features of norm 0 and along their class', (_, margin) => {
    tf.tidy(() => {
      const kernel = tf.tensor2d([1, 0, 0, 1, 0, 0], [3, 2]);
      const features = tf.tensor2d([0, 0, 3, 0, 0, -2, 1e-20, 0], [4, 2]);
      const labels = tf.tensor1d([0, 0, 1, 2], 'int32');
      const { sum, gradients } = classification({ features, kernel, labels, margin });
      const all = [sum, gradients().features, gradients().kernel].flatMap((tensor) => [...tensor.dataSync()]);
      expect(all.every(Number.isFinite)).toBe(true);
    });
  });

  it('dot-regression agrees with its definition, in value and gradient', () => {
    const unit = values.vectors.map((row) => {
      const length = Math.hypot(...row);
      return row.map((value) => value / length);
    });
    const fixed = { ...values, vectors: unit };
    tf.tidy(() => {
      const own = tf.tensor2d(values.labels.map((label) => unit[label]));
      const { sum, gradient } = dotRegression(tf.tensor2d(values.features), own);
      expectClose(tf.div(sum, rows).dataSync(), [references.dotRegression(fixed)]);
      expectClose(
        tf.div(gradient(), rows).dataSync(),
        references.gradientOf(references.dotRegression, fixed, 'features'),
      );
    });
  });
});
