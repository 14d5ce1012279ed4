import * as tf from '../../../src/tf/index.js';
import { describe, it } from 'vitest';
import { addRelu, convolve, reluGradient } from '../../../src/backend/operations.js';
import { backendNames, type BackendName } from '../../../src/backend/backends.js';
import { normal, onBackend } from '../backends.js';
import * as reference from './operations-reference.js';
import { expectWithin, valuesOf, valuesOn } from './implementations.js';

type Shape4 = [number, number, number, number];
type Operation = (...inputs: tf.Tensor[]) => tf.Tensor;

const tolerance = 5e-6;

/** Output y of an operation on a backend, and the gradients of sum(weight * y). */
async function differentiated(name: BackendName, operation: Operation, make: () => tf.Tensor[]) {
  const [y, ...gradients] = await valuesOn(name, () => {
    const inputs = make();
    const output = operation(...inputs);
    const weight = weightLike(output);
    const loss = (...values: tf.Tensor[]) => tf.sum(tf.mul(operation(...values), weight)) as tf.Scalar;
    return [output, ...tf.grads(loss)(inputs)];
  });
  return { y, gradients };
}

function weightLike({ shape }: tf.Tensor): tf.Tensor {
  return normal(shape, 9);
}

/** The numbers of `normal` in double precision. */
function numbers(shape: number[], seed: number, mean = 0): Float64Array {
  const tensor = normal(shape, seed, mean);
  const values = valuesOf(tensor);
  tensor.dispose();
  return values;
}

const convolutions: [Shape4, Shape4][] = [
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
  [
    [2, 8, 8, 4],
    [1, 1, 4, 6],
  ],
];
const geometries = (['same', 'valid'] as const).flatMap((pad) =>
  (
    [
      [1, 1],
      [2, 2],
      [3, 2],
    ] as [number, number][]
  ).map((strides) => ({ pad, strides })),
);

for (const name of backendNames)
  describe(`${name} agrees with the definition in double precision of`, onBackend(name), () => {
    it('the gradient of ReLU computed from its output', async () => {
      const [dx] = await valuesOn(name, () => [
        reluGradient(tf.tensor1d([1, 2, 3, -4]), tf.tensor1d([0, 0.5, 0, 2])),
      ]);
      expectWithin(0, dx, [0, 2, 0, -4]);
    });

    it('ReLU and its gradient', async () => {
      const [x, w] = [numbers([3, 5, 7], 1), numbers([3, 5, 7], 9)];
      const { y, gradients } = await differentiated(
        name,
        (value) => tf.relu(value),
        () => [normal([3, 5, 7], 1)],
      );
      expectWithin(
        0,
        y,
        x.map((value) => Math.max(0, value)),
      );
      expectWithin(
        0,
        gradients[0],
        w.map((value, index) => (x[index] > 0 ? value : 0)),
      );
    });

    it('a sum with ReLU, one summand of which is used again', async () => {
      const shape = [3, 5, 7];
      const [a, b, w] = [1, 2, 9].map((seed) => numbers(shape, seed));
      const operation = (...[left, right]: tf.Tensor[]) => tf.add(addRelu(left, right), tf.mul(left, 2));
      const { y, gradients } = await differentiated(name, operation, () => [
        normal(shape, 1),
        normal(shape, 2),
      ]);
      const open = w.map((value, index) => (a[index] + b[index] > 0 ? value : 0));
      expectWithin(
        1e-6,
        y,
        a.map((value, index) => Math.max(0, value + b[index]) + 2 * value),
      );
      expectWithin(
        1e-6,
        gradients[0],
        open.map((value, index) => value + 2 * w[index]),
      );
      expectWithin(1e-6, gradients[1], open);
    });

    it('sums over all axes except the last, and over all axes', async () => {
      const shape = [5, 4, 3, 9];
      const x = numbers(shape, 1);
      const rows = new Float64Array(9);
      x.forEach((value, index) => (rows[index % 9] += value));
      const found = await valuesOn(name, () => {
        const value = normal(shape, 1);
        return [tf.sum(value, [0, 1, 2]), tf.sum(value, [0, 1, 2], true), tf.sum(value)];
      });
      expectWithin(tolerance, found[0], rows);
      expectWithin(tolerance, found[1], rows);
      expectWithin(tolerance, found[2], [rows.reduce((sum, value) => sum + value)], 10);
    });

    it('the matrix product and its gradients', async () => {
      const [m, k, n] = [5, 17, 9];
      const [a, b, w] = [numbers([m, k], 1), numbers([k, n], 2), numbers([m, n], 9)];
      const { y, gradients } = await differentiated(
        name,
        (left, right) => tf.matMul(left as tf.Tensor2D, right as tf.Tensor2D),
        () => [normal([m, k], 1), normal([k, n], 2)],
      );
      const [wanted, da, db] = [w, a, b].map(({ length }) => new Float64Array(length));
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++)
          for (let l = 0; l < k; l++) {
            wanted[i * n + j] += a[i * k + l] * b[l * n + j];
            da[i * k + l] += w[i * n + j] * b[l * n + j];
            db[l * n + j] += w[i * n + j] * a[i * k + l];
          }
      expectWithin(tolerance, y, wanted);
      expectWithin(tolerance, gradients[0], da);
      expectWithin(tolerance, gradients[1], db);
    });

    describe.each(convolutions)('convolution of %j with %j', (shape, filterShape) => {
      it.each(geometries)('%j, with and without bias and ReLU', async (geometry) => {
        const operands = {
          ...{ x: numbers(shape, 1), shape, filter: numbers(filterShape, 2), filterShape, geometry },
        };
        const bias = numbers([filterShape[3]], 3);
        for (const [activation, biased] of [
          ['linear', false],
          ['relu', false],
          ['relu', true],
        ] as const) {
          const whole = { strides: [...geometry.strides] as [number, number], pad: geometry.pad, activation };
          const { y, gradients } = await differentiated(
            name,
            (x, filter, added) =>
              convolve(x as tf.Tensor4D, filter as tf.Tensor4D, added, { ...whole, dilations: [1, 1] }),
            () => [
              normal(shape, 1),
              normal(filterShape, 2),
              ...(biased ? [normal([filterShape[3]], 3)] : []),
            ],
          );
          const value = reference
            .convolve(operands)
            .map((sum, index) => sum + (biased ? bias[index % bias.length] : 0));
          expectWithin(tolerance, y, activation === 'relu' ? value.map((v) => Math.max(0, v)) : value);
          const weight = numbers([value.length], 9);
          const dy = weight.map((v, index) => (activation === 'relu' && !(y[index] > 0) ? 0 : v));
          const [dx, dfilter] = reference.convolutionGradients(operands, dy);
          expectWithin(tolerance, gradients[0], dx);
          expectWithin(tolerance, gradients[1], dfilter);
          if (!biased) continue;
          const dbias = new Float64Array(bias.length);
          dy.forEach((v, index) => (dbias[index % bias.length] += v));
          expectWithin(tolerance, gradients[2], dbias);
        }
      });
    });

    if (name === 'wasm')
      it.each([
        ['same', [1, 1], [2, 2]],
        ['valid', [1, 1], [2, 3]],
        ['valid', [2, 1], [1, 2]],
      ] as const)('dilated convolution, %s, strides %j, dilations %j', async (pad, strides, dilations) => {
        const [shape, filterShape]: Shape4[] = [
          [2, 9, 8, 5],
          [3, 2, 5, 6],
        ];
        const geometry = { pad, strides, dilations };
        const { y, gradients } = await differentiated(
          name,
          (x, filter) =>
            convolve(x as tf.Tensor4D, filter as tf.Tensor4D, undefined, {
              ...{ pad, activation: 'linear', strides: [...strides], dilations: [...dilations] },
            }),
          () => [normal(shape, 1), normal(filterShape, 2)],
        );
        const operands = {
          x: numbers(shape, 1),
          shape,
          filter: numbers(filterShape, 2),
          filterShape,
          geometry,
        };
        expectWithin(tolerance, y, reference.convolve(operands));
        const [dx, dfilter] = reference.convolutionGradients(operands, numbers([y.length], 9));
        expectWithin(tolerance, gradients[0], dx);
        expectWithin(tolerance, gradients[1], dfilter);
      });

    describe.each([
      [
        [2, 7, 6, 4],
        [3, 3, 4, 1],
      ],
      [
        [1, 8, 8, 5],
        [3, 2, 5, 2],
      ],
    ] as [Shape4, Shape4][])('depthwise convolution of %j with %j', (shape, filterShape) => {
      it.each(geometries.filter(({ strides: [down, across] }) => down === across))('%j', async (geometry) => {
        const { strides, pad } = geometry;
        const { y, gradients } = await differentiated(
          name,
          (x, filter) => tf.depthwiseConv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, pad),
          () => [normal(shape, 1), normal(filterShape, 2)],
        );
        const operands = {
          x: numbers(shape, 1),
          shape,
          filter: numbers(filterShape, 2),
          filterShape,
          geometry,
        };
        expectWithin(tolerance, y, reference.convolve(operands, true));
        const [dx, dfilter] = reference.convolutionGradients(operands, numbers([y.length], 9), true);
        expectWithin(tolerance, gradients[0], dx);
        expectWithin(tolerance, gradients[1], dfilter);
      });
    });

    describe.each([
      [[2, 7, 6, 4], 3],
      [[1, 8, 8, 3], 2],
      [[2, 6, 5, 1], 1],
    ] as [Shape4, number][])('max pooling of %j over windows of %i', (shape, size) => {
      it.each(geometries.filter(({ strides: [down, across] }) => down === across))('%j', async (geometry) => {
        // All values are negative, which a maximum that starts at 0 would miss.
        const x = numbers(shape, 1, -5);
        const { strides, pad } = geometry;
        const { y, gradients } = await differentiated(
          name,
          (value) => tf.maxPool(value as tf.Tensor4D, size, strides, pad),
          () => [normal(shape, 1, -5)],
        );
        const weight = (length: number) => numbers([length], 9);
        const [wanted, dx] = reference.maxPool(x, shape, [size, size], geometry, weight);
        expectWithin(0, y, wanted);
        expectWithin(tolerance, gradients[0], dx);
      });
    });

    it('a sum over segments that skips negative ids', async () => {
      const x = numbers([5, 3], 1);
      const [sums] = await valuesOn(name, () => [
        tf.unsortedSegmentSum(normal([5, 3], 1), tf.tensor1d([2, 0, -1, 2, 1], 'int32'), 4),
      ]);
      const row = (index: number) => [...x.subarray(3 * index, 3 * index + 3)];
      const third = row(0).map((value, column) => value + row(3)[column]);
      expectWithin(1e-6, sums, [...row(1), ...row(4), ...third, 0, 0, 0]);
    });

    it('gathered rows, and gradients summed over repeated rows', async () => {
      const [x, w] = [numbers([4, 3], 1), numbers([3, 3], 9)];
      const ids = [1, 1, 3];
      const { y, gradients } = await differentiated(
        name,
        (value) => tf.gather(value, tf.tensor1d(ids, 'int32')),
        () => [normal([4, 3], 1)],
      );
      const dx = new Float64Array(12);
      w.forEach((value, index) => (dx[3 * ids[Math.floor(index / 3)] + (index % 3)] += value));
      expectWithin(
        0,
        y,
        w.map((_, index) => x[3 * ids[Math.floor(index / 3)] + (index % 3)]),
      );
      expectWithin(1e-6, gradients[0], dx);
    });

    it('the mean over pixels', async () => {
      const [images, pixels, channels] = [3, 20, 6];
      const [x, w] = [numbers([3, 4, 5, 6], 1), numbers([3, 6], 9)];
      const { y, gradients } = await differentiated(
        name,
        (value) => tf.mean(value, [1, 2]),
        () => [normal([3, 4, 5, 6], 1)],
      );
      const place = (index: number) =>
        Math.floor(index / (pixels * channels)) * channels + (index % channels);
      const wanted = new Float64Array(images * channels);
      x.forEach((value, index) => (wanted[place(index)] += value / pixels));
      expectWithin(1e-6, y, wanted);
      expectWithin(
        1e-6,
        gradients[0],
        x.map((_, index) => w[place(index)] / pixels),
      );
    });

    it('batch norm with given statistics, as in evaluation', async () => {
      const shape: Shape4 = [2, 3, 3, 5];
      const values = [1, 2, 3, 4].map((seed) => numbers(seed === 1 ? shape : [5], seed));
      const [x, mean, gamma, beta] = values;
      const variance = Float64Array.of(0.5, 1, 2, 4, 8);
      const [y] = await valuesOn(name, () => {
        const [m, g, b] = [2, 3, 4].map((seed) => normal([5], seed) as tf.Tensor1D);
        return [tf.batchNorm(normal(shape, 1) as tf.Tensor4D, m, tf.tensor1d([...variance]), b, g, 1e-3)];
      });
      const wanted = x.map((value, index) => {
        const c = index % 5;
        return (gamma[c] * (value - mean[c])) / Math.sqrt(variance[c] + 1e-3) + beta[c];
      });
      expectWithin(tolerance, y, wanted);
    });
  });
