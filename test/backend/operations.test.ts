import * as tf from '../../src/tf/index.js';
import { describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { runningBatchNorm } from '../../src/backend/composed-batch-norm.js';
import { addRelu, convolve, type Convolution } from '../../src/backend/operations.js';
import { accelerated, expectClose, expectLikeCpu, normal, valuesOn } from './backends.js';

describe.each(accelerated)('operations on %s', (name) => {
  it('ReLU and its gradient', () =>
    expectLikeCpu(name, () => {
      const [x, weight] = [normal([3, 5, 7], 1), normal([3, 5, 7], 2)];
      const gradient = tf.grad((value) => tf.sum(tf.mul(tf.relu(value), weight)))(x);
      return [tf.relu(x), gradient];
    }));

  it('a sum with ReLU after it, of which one part is read again', () =>
    expectLikeCpu(name, () => {
      const inputs = [normal([3, 5, 7], 1), normal([3, 5, 7], 2)];
      const weights = [normal([3, 5, 7], 3), normal([3, 5, 7], 4)];
      const apply = (...[a, b]: tf.Tensor[]) => {
        const both = [addRelu(a, b), a].map((value, index) => tf.sum(tf.mul(value, weights[index])));
        return tf.add(both[0], both[1]) as tf.Scalar;
      };
      return [addRelu(inputs[0], inputs[1]), ...tf.grads(apply)(inputs)];
    }));

  it('the gradient of a sum with ReLU after it', async () => {
    const [da, db] = await valuesOn(name, () => {
      const loss = (...[a, b]: tf.Tensor[]) =>
        tf.sum(tf.mul(addRelu(a, b), tf.tensor1d([2, 3, 4]))) as tf.Scalar;
      return tf.grads(loss)([tf.tensor1d([1, -2, 3]), tf.tensor1d([1, 1, -2])]);
    });
    expect([...da]).toEqual([2, 0, 4]);
    expect([...db]).toEqual([2, 0, 4]);
  });

  it.runIf(name === 'wasm')('statistics that do not depend on how the images are split', async () => {
    await initBackend(name);
    const x = normal([7, 5, 3, 6], 1, 3);
    const { sums } = runningBatchNorm();
    const whole = sums(x);
    const [first, second] = [sums(tf.slice(x, [0], [3])), sums(tf.slice(x, [3], [4]))];
    whole.forEach((sum, index) => expect(Math.fround(first[index] + second[index])).toBe(Math.fround(sum)));
    x.dispose();
  });

  it('sums over all axes but the last, and other sums', () =>
    expectLikeCpu(name, () => {
      const x = normal([5, 4, 3, 9], 1);
      return [tf.sum(x, [0, 1, 2]), tf.sum(x, [0, 1, 2], true), tf.sum(x, [1, 2]), tf.sum(x)];
    }));

  for (const [x, filter] of [
    [
      [2, 7, 6, 3],
      [3, 3, 3, 5],
    ],
    [
      [1, 8, 8, 8],
      [3, 3, 8, 16],
    ],
    [
      [3, 5, 9, 4],
      [1, 1, 4, 9],
    ],
    [
      [1, 9, 8, 5],
      [2, 4, 5, 8],
    ],
    [
      [2, 6, 6, 16],
      [5, 3, 16, 4],
    ],
  ]) {
    for (const pad of ['same', 'valid'] as const) {
      for (const strides of [
        [1, 1],
        [2, 2],
        [3, 2],
      ] as [number, number][]) {
        it(`convolution of ${x.join('x')} with ${filter.join('x')}, ${pad}, strides ${strides.join('x')}`, () => {
          const plain = { strides, pad, dilations: [1, 1] as [number, number] };
          return expectLikeCpu(name, () => [
            ...differentiate(normal(x, 1), normal(filter, 2), { ...plain, activation: 'relu' }),
            ...withoutBias(normal(x, 1), normal(filter, 2), { ...plain, activation: 'relu' }),
            ...withoutBias(normal(x, 1), normal(filter, 2), { ...plain, activation: 'linear' }),
          ]);
        });
      }
    }
  }

  it.skipIf(name !== 'wasm').each([
    ['same', [1, 1], [2, 2]],
    ['valid', [1, 1], [2, 3]],
    ['valid', [2, 1], [1, 2]],
  ] as const)('dilated convolution, %s, strides %j, dilations %j', async (pad, strides, dilations) => {
    const geometry = { strides: [...strides] as [number, number], pad, activation: 'linear' as const };
    const [, dx, dfilter] = await valuesOn(name, () =>
      differentiate(normal([2, 9, 8, 5], 1), normal([3, 2, 5, 6], 2), {
        ...geometry,
        dilations: [...dilations],
      }),
    );
    // The cpu backend has no gradient of a dilated convolution; a filter with zeros between its values has one.
    const [, spreadDx, spreadDfilter] = await valuesOn('cpu', () => {
      const filter = spread(normal([3, 2, 5, 6], 2), dilations);
      const [y, dx, dwide] = differentiate(normal([2, 9, 8, 5], 1), filter, {
        ...geometry,
        dilations: [1, 1],
      });
      return [y, dx, tf.stridedSlice(dwide, [0, 0, 0, 0], dwide.shape, [...dilations, 1, 1])];
    });
    expectClose(dx, spreadDx, 1e-5);
    expectClose(dfilter, spreadDfilter, 1e-5);
  });

  it('leaves out the gradient of images that nobody asks for', async () => {
    await initBackend(name);
    const seen: string[] = [];
    const engine = tf.engine();
    const original = engine.runKernel;
    engine.runKernel = function (kernel: string, ...rest: never[]) {
      seen.push(kernel);
      return (original as (...args: unknown[]) => never).call(engine, kernel, ...rest);
    };
    try {
      tf.tidy(() => {
        const [x, filter] = [normal([1, 4, 4, 3], 1), normal([3, 3, 3, 2], 2)] as tf.Tensor4D[];
        const convolution: Convolution = {
          strides: [1, 1],
          pad: 'same',
          dilations: [1, 1],
          activation: 'linear',
        };
        tf.grad((value) => tf.sum(convolve(x, value as tf.Tensor4D, undefined, convolution)))(filter);
      });
    } finally {
      engine.runKernel = original;
    }
    expect(seen).toContain('Conv2DBackpropFilter');
    expect(seen).not.toContain('Conv2DBackpropInput');
  });
});

/** y of a convolution with bias, and the gradients of sum(weight y): dx, dfilter, dbias. */
function differentiate(x: tf.Tensor, filter: tf.Tensor, convolution: Convolution): tf.Tensor[] {
  return gradients([x, filter, normal([filter.shape[3] as number], 3)], convolution);
}

/** y of a convolution without bias, dx and dfilter. */
function withoutBias(x: tf.Tensor, filter: tf.Tensor, convolution: Convolution): tf.Tensor[] {
  return gradients([x, filter], convolution);
}

function gradients(inputs: tf.Tensor[], convolution: Convolution): tf.Tensor[] {
  const apply = (...[image, weights, bias]: tf.Tensor[]) =>
    convolve(image as tf.Tensor4D, weights as tf.Tensor4D, bias, convolution);
  const y = apply(...inputs);
  const weight = normal(y.shape, 4);
  const loss = (...values: tf.Tensor[]) => tf.sum(tf.mul(apply(...values), weight)) as tf.Scalar;
  return [y, ...tf.grads(loss)(inputs)];
}

/** A filter with zeros between its rows and columns. */
function spread(filter: tf.Tensor, [down, across]: readonly [number, number]): tf.Tensor {
  const [height, width, ...rest] = filter.shape as [number, number, number, number];
  const wide = tf.buffer([(height - 1) * down + 1, (width - 1) * across + 1, ...rest]);
  const values = filter.bufferSync();
  for (let i = 0; i < height; i++)
    for (let j = 0; j < width; j++)
      for (let c = 0; c < rest[0]; c++)
        for (let o = 0; o < rest[1]; o++)
          wide.set(values.get(i, j, c, o) as never, i * down, j * across, c, o);
  return wide.toTensor();
}
