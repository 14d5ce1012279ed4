import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { cosineMargin } from '../../src/losses/am-softmax.js';
import { angleMargin } from '../../src/losses/arcface.js';
import { dotRegressionTerms } from '../../src/losses/dot-regression.js';
import { marginSoftmaxTerms } from '../../src/losses/margin-softmax.js';
import type { RowTerms } from '../../src/losses/mean-over-images.js';
import { crossEntropyTerms, oneHot } from '../../src/losses/cross-entropy.js';
import { softmaxTerms } from '../../src/losses/softmax.js';
import { multipliedAngle, multipliedAngleTerms } from '../../src/losses/sphereface.js';
import { randomStream } from '../../src/util/random.js';
import * as references from './references.js';
import { accelerated } from '../backend/backends.js';

const [rows, classes, dim] = [5, 4, 6];

function table(count: number, size: number, seed: number, scale: number): number[][] {
  const random = randomStream(seed);
  return Array.from({ length: count }, () => Array.from({ length: size }, () => scale * random.normal()));
}

const values: references.Case = {
  features: table(rows, dim, 1, 1.5),
  vectors: table(classes, dim, 2, 0.7),
  bias: [0.3, -0.2, 0.5, 0],
  labels: [2, 0, 3, 3, 1],
};
/** Row 1 points away from its class vector, at an angle above pi - m; row 3 nearly along its class vector. */
values.features[1] = values.vectors[0].map((value, index) => -2 * value + 0.1 * index);
values.features[3] = values.vectors[3].map((value, index) => 1.5 * value + 0.05 * index);

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance = 2e-5): void {
  expect(actual.length).toBe(expected.length);
  const size = Math.max(...expected.map(Math.abs), 1e-9);
  expected.forEach((value, index) =>
    expect(Math.abs(actual[index] - value) / size, `number ${index}`).toBeLessThan(tolerance),
  );
}

type Terms = (features: tf.Tensor2D, labels: Int32Array, rows: tf.Tensor2D, bias: tf.Tensor1D) => RowTerms;

const losses: [string, Terms, references.Reference][] = [
  [
    'softmax',
    (features, labels, rows, bias) =>
      softmaxTerms(features, [rows, bias], (logits) =>
        crossEntropyTerms(logits, oneHot(labels, logits.shape[1])),
      ),
    references.softmax,
  ],
  [
    'am-softmax',
    (features, labels, rows) =>
      marginSoftmaxTerms(features, labels, rows, { scale: 12, margin: cosineMargin(0.35) }),
    references.amSoftmax(12, 0.35),
  ],
  [
    'arcface',
    (features, labels, rows) =>
      marginSoftmaxTerms(features, labels, rows, { scale: 8, margin: angleMargin(0.5) }),
    references.arcFace(8, 0.5),
  ],
  ...[2, 3, 4].map((margin): [string, Terms, references.Reference] => [
    `sphereface, margin ${margin}`,
    (features, labels, rows) =>
      multipliedAngleTerms(features, labels, rows, {
        normalise: margin !== 3,
        margin: multipliedAngle({ multiple: margin, blend: 2 }),
      }),
    references.sphereFace(margin, 2, margin !== 3),
  ]),
];

describe.each(['cpu' as const, ...accelerated])('terms of losses on %s', (backend) => {
  beforeAll(() => initBackend(backend));

  it.each(losses)('%s agrees with its definition, in value and gradients', (_, terms, reference) => {
    tf.tidy(() => {
      const { sum, gradients } = terms(
        tf.tensor2d(values.features),
        Int32Array.from(values.labels),
        tf.tensor2d(values.vectors),
        tf.tensor1d(values.bias as number[]),
      );
      const [features, kernel, bias] = gradients();
      const mean = (gradient: tf.Tensor) => tf.div(gradient, rows).dataSync();
      expectClose(mean(sum), [reference(values)]);
      expectClose(mean(features), references.gradientOf(reference, values, 'features'));
      expectClose(mean(kernel), references.gradientOf(reference, values, 'vectors'));
      if (bias) expectClose(mean(bias), references.gradientOf(reference, values, 'bias'));
    });
  });

  it.each(losses)(
    '%s stays finite for features of norm 0 and for features parallel to their class vector',
    (_, terms) => {
      tf.tidy(() => {
        const kernel = tf.tensor2d([1, 0, 0, 1, 0, 0], [3, 2]);
        const features = tf.tensor2d([0, 0, 3, 0, 0, -2, 1e-20, 0], [4, 2]);
        const labels = Int32Array.of(0, 0, 1, 2);
        const { sum, gradients } = terms(features, labels, kernel, tf.zeros([3]));
        const all = [sum, ...gradients()].flatMap((tensor) => [...tensor.dataSync()]);
        expect(all.every(Number.isFinite)).toBe(true);
      });
    },
  );

  it('dot-regression agrees with its definition, in value and gradient', () => {
    const unit = values.vectors.map((row) => {
      const length = Math.hypot(...row);
      return row.map((value) => value / length);
    });
    const fixed = { ...values, vectors: unit };
    tf.tidy(() => {
      const own = tf.tensor2d(values.labels.map((label) => unit[label]));
      const { sum, gradients } = dotRegressionTerms(tf.tensor2d(values.features), own);
      expectClose(tf.div(sum, rows).dataSync(), [references.dotRegression(fixed)]);
      expectClose(
        tf.div(gradients()[0], rows).dataSync(),
        references.gradientOf(references.dotRegression, fixed, 'features'),
      );
    });
  });
});
