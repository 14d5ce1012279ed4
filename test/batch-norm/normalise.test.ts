import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { normalise, type NormaliseOptions } from '../../src/batch-norm/normalise.js';
import { backendsHere } from '../backend/backends.js';

const epsilon = 1e-5;
const shape: [number, number, number, number] = [5, 3, 2, 4];
const gammaValues = [0.5, 1, 1.5, -2];
const betaValues = [0.1, 0, -1, 2];

interface Gradients {
  y: Float32Array;
  dx: Float32Array;
  dgamma: Float32Array;
  dbeta: Float32Array;
}

/** Gradients of sum(weight * y) through a batch norm. */
function differentiate(
  x: tf.Tensor,
  weight: tf.Tensor,
  batchNorm: (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) => tf.Tensor,
): Gradients {
  return tf.tidy(() => {
    const inputs = [x, tf.tensor1d(gammaValues), tf.tensor1d(betaValues)];
    const data = (tensor: tf.Tensor) => tensor.dataSync<'float32'>().slice();
    let y = new Float32Array();
    const [dx, dgamma, dbeta] = tf.grads((...values: tf.Tensor[]) => {
      const output = batchNorm(values[0], values[1], values[2]);
      y = data(output);
      return tf.sum(tf.mul(output, weight));
    })(inputs);
    return { y, dx: data(dx), dgamma: data(dgamma), dbeta: data(dbeta) };
  });
}

function options(share: NormaliseOptions['share'], reduce?: NormaliseOptions['reduce']): NormaliseOptions {
  return { epsilon, share, reduce, onStatistics: () => {} };
}

/** Sums that one rank gives to each reduce; `others` are the sums of the other rank, added to its own. */
function sumsOf(x: tf.Tensor, weight: tf.Tensor, others: Float64Array[], counted: number): Float64Array[] {
  const own: Float64Array[] = [];
  differentiate(x, weight, (...inputs) =>
    normalise(
      ...inputs,
      options({ local: x.shape[0], counted }, (sums) => {
        own.push(sums.slice());
        others[own.length - 1]?.forEach((value, index) => (sums[index] += value));
      }),
    ),
  );
  return own;
}

function expectClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  const scale = Math.max(...expected.map(Math.abs));
  actual.forEach((value, index) => expect(Math.abs(value - expected[index])).toBeLessThan(tolerance * scale));
}

describe.each(backendsHere)('normalise on %s', (name) => {
  let x: tf.Tensor4D;
  let weight: tf.Tensor4D;
  beforeAll(async () => {
    await initBackend(name);
    x = tf.randomNormal(shape, 3, 2, 'float32', 7);
    weight = tf.randomNormal(shape, 0, 1, 'float32', 8);
  });

  it('agrees with automatic differentiation of the definition', () => {
    const definition = differentiate(x, weight, (value, gamma, beta) => {
      const { mean, variance } = tf.moments(value, [0, 1, 2]);
      return tf.add(tf.mul(tf.div(tf.sub(value, mean), tf.sqrt(tf.add(variance, epsilon))), gamma), beta);
    });
    const ours = differentiate(x, weight, (...inputs) =>
      normalise(
        ...inputs,
        options({ local: 5, counted: 5 }, () => {}),
      ),
    );
    for (const key of ['y', 'dx', 'dgamma', 'dbeta'] as const) expectClose(ours[key], definition[key], 1e-5);
  });

  it.for([
    ['alone', undefined],
    ['over ranks', () => {}],
  ] as const)('fuses a following ReLU, %s', ([, reduce]) => {
    const shifted = tf.add(weight, 0.5);
    const plain = options({ local: 5, counted: 5 }, reduce);
    const apart = differentiate(x, shifted, (...inputs) => tf.relu(normalise(...inputs, plain)));
    const together = differentiate(x, shifted, (...inputs) =>
      normalise(...inputs, { ...plain, activation: 'relu' }),
    );
    expect(together.y.some((value) => value === 0)).toBe(true);
    expect(together.y.some((value) => value > 0)).toBe(true);
    for (const key of ['y', 'dx', 'dgamma', 'dbeta'] as const) expectClose(together[key], apart[key], 1e-6);
  });

  describe.each(['linear', 'relu'] as const)('with a residual and activation %s, fused,', (activation) => {
    it.for([
      ['alone', undefined],
      ['over ranks', () => {}],
    ] as const)('%s, gives the values and gradients of separate operations', ([, reduce]) => {
      const plain = options({ local: 5, counted: 5 }, reduce);
      const residual = tf.randomNormal(shape, 0, 1, 'float32', 9);
      const gradients = (operation: (x: tf.Tensor, residual: tf.Tensor) => tf.Tensor) =>
        tf.tidy(() => {
          const [y, dx, dresidual] = [
            operation(x, residual),
            ...tf.grads((...inputs: tf.Tensor[]) => tf.sum(tf.mul(operation(inputs[0], inputs[1]), weight)))([
              x,
              residual,
            ]),
          ].map((tensor) => tensor.dataSync<'float32'>().slice());
          return { y, dx, dresidual };
        });
      const [gamma, beta] = [tf.tensor1d(gammaValues), tf.tensor1d(betaValues)];
      const follow = activation === 'relu' ? tf.relu : (value: tf.Tensor) => value;
      const apart = gradients((x, residual) => follow(tf.add(normalise(x, gamma, beta, plain), residual)));
      const together = gradients((x, residual) =>
        normalise(x, gamma, beta, { ...plain, activation, residual }),
      );
      expect(together.y.some((value) => value === 0)).toBe(activation === 'relu');
      for (const key of ['y', 'dx', 'dresidual'] as const) expectClose(together[key], apart[key], 1e-6);
    });
  });

  it('gives the same results with and without reduce', () => {
    const results = [undefined, () => {}].map((reduce) => {
      const moments: Float32Array[] = [];
      const given: NormaliseOptions = {
        ...options({ local: 5, counted: 5 }, reduce),
        activation: 'relu',
        onStatistics: (parts) =>
          moments.push(
            Float32Array.from(
              parts.flatMap((part) => [...(part instanceof tf.Tensor ? part.dataSync() : part)]),
            ),
          ),
      };
      return { ...differentiate(x, weight, (...inputs) => normalise(...inputs, given)), moments: moments[0] };
    });
    for (const key of ['y', 'dx', 'dgamma', 'dbeta', 'moments'] as const)
      expectClose(results[0][key], results[1][key], 1e-5);
    const [mean] = results[0].moments;
    expect(mean).toBeCloseTo(tf.mean(tf.slice(x, [0, 0, 0, 0], [-1, -1, -1, 1])).dataSync()[0], 5);
  });

  it('normalises two uneven shards like one batch', () => {
    const whole = differentiate(x, weight, (...inputs) =>
      normalise(
        ...inputs,
        options({ local: 5, counted: 5 }, () => {}),
      ),
    );
    const parts = [
      [0, 2],
      [2, 3],
    ].map(([start, size]) => ({ x: x.slice(start, size), weight: weight.slice(start, size) }));
    // The first round finds the forward sums, which the backward sums of the second round depend on.
    let sums: Float64Array[][] = [[], []];
    for (let round = 0; round < 2; round++) {
      sums = parts.map((part, rank) => sumsOf(part.x, part.weight, sums[1 - rank], 5));
    }
    const results = parts.map((part, rank) => {
      let pass = 0;
      const reduce = (own: Float64Array) => {
        const other = sums[1 - rank][pass++];
        own.forEach((value, index) => (own[index] = value + other[index]));
      };
      return differentiate(part.x, part.weight, (...inputs) =>
        normalise(...inputs, options({ local: part.x.shape[0], counted: 5 }, reduce)),
      );
    });
    const joined = (key: 'y' | 'dx') => Float32Array.from([...results[0][key], ...results[1][key]]);
    const summed = (key: 'dgamma' | 'dbeta') =>
      results[0][key].map((value, index) => value + results[1][key][index]);
    expectClose(joined('y'), whole.y, 1e-5);
    expectClose(joined('dx'), whole.dx, 1e-5);
    expectClose(summed('dgamma'), whole.dgamma, 1e-5);
    expectClose(summed('dbeta'), whole.dbeta, 1e-5);
  });

  it('gives the residual of a rank without images gradient 0', () => {
    const placeholder = tf.zeros([1, 3, 2, 4]);
    const given = options({ local: 0, counted: 5 }, (sums) => void sums.fill(30));
    const [gamma, beta] = [tf.tensor1d(gammaValues), tf.tensor1d(betaValues)];
    const gradient = tf.grad((residual) =>
      tf.sum(normalise(placeholder, gamma, beta, { ...given, activation: 'relu', residual })),
    )(tf.ones(placeholder.shape));
    expect(gradient.dataSync().every((value) => value === 0)).toBe(true);
  });

  it('gives a rank without images sums and gradients of 0', () => {
    const placeholder = tf.zeros([1, 3, 2, 4]);
    const seen: Float64Array[] = [];
    const result = differentiate(placeholder, tf.ones([1, 3, 2, 4]), (...inputs) =>
      normalise(
        ...inputs,
        options({ local: 0, counted: 5 }, (sums) => {
          seen.push(sums.slice());
          sums.fill(30);
        }),
      ),
    );
    for (const sums of seen) expect([...sums]).toEqual(new Array(8).fill(0));
    for (const key of ['dx', 'dgamma', 'dbeta'] as const)
      expect(result[key].every((value) => value === 0)).toBe(true);
  });
});
