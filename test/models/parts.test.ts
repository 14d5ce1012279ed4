import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { cut, eachWithOwnWeights, join } from '../../src/models/parts.js';

describe('parts of a batch', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('are joined and cut again, without absent parts', () => {
    const parts = [tf.tensor2d([[1, 2]]), undefined, tf.tensor2d([[3, 4], [5, 6]])]; // prettier-ignore
    const whole = join(parts) as tf.Tensor2D;
    expect(whole.arraySync()).toEqual([[1, 2], [3, 4], [5, 6]]); // prettier-ignore
    const again = cut(whole, parts);
    expect(again.map((part) => part?.arraySync())).toEqual(parts.map((part) => part?.arraySync()));
  });

  it('join to undefined if all are absent', () => expect(join([undefined, undefined])).toBeUndefined());

  it('pass gradients through join and cut', () => {
    const gradient = tf.grad((x) => {
      const parts = cut(x, [tf.zeros([1, 2]), undefined, tf.zeros([2, 2])]);
      return tf.sum(join(parts.map((part, index) => part && tf.mul(part, index + 1))) as tf.Tensor);
    });
    expect(gradient(tf.ones([3, 2])).arraySync()).toEqual([[1, 1], [3, 3], [3, 3]]); // prettier-ignore
  });
});

describe('eachWithOwnWeights', () => {
  beforeAll(() => tf.setBackend('cpu'));

  /** Gradient of a 1 x 1 weight that part p multiplies by `values[p]`. */
  function gradientOf(values: readonly (number | undefined)[]): number {
    const layer = tf.layers.dense({ units: 1, useBias: false, inputShape: [1] });
    layer.build([null, 1]);
    const [weight] = layer.trainableWeights;
    const variable = weight.read();
    const { grads } = tf.variableGrads(() => {
      const present = values.map((value) => value !== undefined);
      const results = eachWithOwnWeights(
        layer,
        present,
        (part) =>
        layer.apply(tf.tensor2d([[values[part] as number]])) as tf.Tensor2D, // prettier-ignore
      );
      return tf.sum(join(results) as tf.Tensor) as tf.Scalar;
    });
    const [gradient] = Object.values(grads);
    expect(weight.read()).toBe(variable);
    return gradient.dataSync()[0];
  }

  const [large, small] = [2 ** 24, 1];

  it("adds the parts' gradients of a weight in pairs", () => {
    expect(gradientOf([large, small, small, small])).toBe(large + 2);
    expect(gradientOf([small, small, small, large])).toBe(large + 2);
  });

  it('skips absent parts', () => {
    expect(gradientOf([undefined, 3, undefined, undefined])).toBe(3);
    expect(gradientOf([2, undefined, undefined, 5])).toBe(7);
  });
});
