import * as tf from '../../src/tf/index.js';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import {
  cosineLogits,
  localTerms,
  normAdaptiveCosineLoss,
  normSum,
  podLoss,
  selfCorrelationLoss,
} from '../../src/losses/index.js';
import { globalGradient } from '../../src/losses/pod-terms.js';
import { accelerated } from '../backend/backends.js';

interface GoldenCase {
  name: string;
  batch: number;
  dim: number;
  classes: number;
  delta: number;
  centroids: number[];
  labels: number[];
  features: number[];
  nac: number;
  sc: number;
  gradNac: number[];
  gradSc: number[];
  predicted: number[];
  deltaNormOfLogits: number;
  deltaNormOfFeatures: number;
}

const golden = JSON.parse(readFileSync(new URL('./golden/pod-loss.json', import.meta.url), 'utf8')) as {
  cases: GoldenCase[];
};

function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0;
  let size = 0;
  for (let index = 0; index < expected.length; index++) {
    difference += (actual[index] - expected[index]) ** 2;
    size += expected[index] ** 2;
  }
  return Math.sqrt(difference / Math.max(size, 1e-30));
}

function tensors(of: GoldenCase) {
  return {
    features: tf.tensor2d(of.features, [of.batch, of.dim]),
    centroids: tf.tensor2d(of.centroids, [of.classes, of.dim]),
  };
}

function valueAndGradient(loss: (z: tf.Tensor2D) => tf.Scalar, features: tf.Tensor2D) {
  const { value, grad } = tf.valueAndGrad((z: tf.Tensor) => loss(z as tf.Tensor2D))(features);
  return { value: value.dataSync()[0], gradient: grad.dataSync<'float32'>().slice() };
}

describe.each(['cpu' as const, ...accelerated])('POD Loss on %s', (backend) => {
  beforeAll(() => initBackend(backend));
  beforeAll(() => void tf.engine().startScope());
  afterAll(() => tf.engine().endScope());

  it.each(golden.cases.map((value) => [value.name, value] as const))(
    "agrees with the authors' implementation in case %s",
    (_, of) => {
      const { features, centroids } = tensors(of);
      const nac = valueAndGradient(
        (z) => normAdaptiveCosineLoss(z, centroids, of.labels, of.delta),
        features,
      );
      const sc = valueAndGradient((z) => selfCorrelationLoss(z, centroids, of.labels), features);
      const pod = valueAndGradient(
        (z) => podLoss(z, centroids, of.labels, { delta: of.delta, lambda: 0.5 }),
        features,
      );
      const mixed = of.gradNac.map((value, index) => value + 0.5 * of.gradSc[index]);
      expect(relativeError([nac.value], [of.nac])).toBeLessThan(1e-4);
      expect(relativeError([sc.value], [of.sc])).toBeLessThan(1e-4);
      expect(relativeError([pod.value], [of.nac + 0.5 * of.sc])).toBeLessThan(1e-4);
      expect(relativeError(nac.gradient, of.gradNac)).toBeLessThan(1e-4);
      expect(relativeError(sc.gradient, of.gradSc)).toBeLessThan(1e-4);
      expect(relativeError(pod.gradient, mixed)).toBeLessThan(1e-4);
      expect([...tf.argMax(cosineLogits(features, centroids), 1).dataSync()]).toEqual(of.predicted);
      for (const [source, expected] of [
        ['logits', of.deltaNormOfLogits],
        ['features', of.deltaNormOfFeatures],
      ] as const) {
        const sum = normSum(features, source === 'logits' ? centroids : undefined);
        const mean = sum.dataSync()[0] / of.batch;
        expect(relativeError([mean], [expected])).toBeLessThan(1e-4);
      }
    },
  );

  it('globalGradient of two shards gives the rows of the gradient of the whole batch', () => {
    const of = golden.cases[0];
    const { features, centroids } = tensors(of);
    const own = tf.gather(centroids, tf.tensor1d(of.labels, 'int32')) as tf.Tensor2D;
    const whole = valueAndGradient((z) => podLoss(z, centroids, of.labels, { delta: of.delta }), features);
    const { residuals } = localTerms(features, own, of.delta ** 2);
    const correlation: tf.Tensor2D = tf.div(tf.matMul(residuals, residuals, true), of.batch - 1);
    const split = 1;
    const rows = [
      [0, split],
      [split, of.batch - split],
    ].flatMap(([start, size]) => [
      ...globalGradient({
        features: features.slice([start, 0], [size, of.dim]),
        own: own.slice([start, 0], [size, of.dim]),
        deltaSquared: of.delta ** 2,
        lambda: 1,
        batch: of.batch,
        correlation,
      }).dataSync(),
    ]);
    expect(relativeError(rows, whole.gradient)).toBeLessThan(1e-6);
  });

  it.each([
    ['zero features', [0, 0, 0, 0, 0, 0], [0, 1], 0.05],
    ['zero features, delta 0', [0, 0, 0, 1, 2, 3], [0, 1], 0],
    ['a batch of one', [1, 2, 3], [1], 0.05],
    ['one class', [1, 2, 3, -1, 0, 1], [1, 1], 0.05],
  ] as const)('stays finite for %s', (_, values, labels, delta) => {
    const features = tf.tensor2d([...values], [labels.length, 3]);
    const centroids = tf.tensor2d([1, 0, 0, -0.5, 0.5, Math.SQRT1_2], [2, 3]);
    const { value, gradient } = valueAndGradient(
      (z) => podLoss(z, centroids, [...labels], { delta }),
      features,
    );
    expect(Number.isFinite(value)).toBe(true);
    expect(gradient.every(Number.isFinite)).toBe(true);
    if (labels.length === 1)
      expect(selfCorrelationLoss(features, centroids, [...labels]).dataSync()[0]).toBe(0);
  });

  it('has a gradient at features of norm 0 towards their centroid if delta is positive', () => {
    const centroids = tf.tensor2d([1, 0, 0, -1, 0, 0], [2, 3]);
    const { gradient } = valueAndGradient(
      (z) => normAdaptiveCosineLoss(z, centroids, [1], 0.5),
      tf.zeros([1, 3]),
    );
    expect([...gradient]).toEqual([expect.closeTo(4, 5), expect.closeTo(0, 6), expect.closeTo(0, 6)]);
  });

  it('rejects labels that are no class and shapes that do not match', () => {
    const centroids = tf.tensor2d([1, 0, -1, 0], [2, 2]);
    const loss = (labels: number[], width = 2) =>
      podLoss(tf.ones([2, width]), centroids, labels, { delta: 0.1 });
    expect(() => loss([0, 2])).toThrow(/label 2 of row 1 is not a class: classes are 0 to 1/);
    expect(() => loss([0])).toThrow(/1 labels for 2 rows/);
    expect(() => loss([0, 1], 3)).toThrow(/\[B, d\] and \[k, d\]/);
  });
});
