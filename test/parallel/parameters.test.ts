import * as tf from '../../src/tf/index.js';
import { createHash } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Parameters, sha256 } from '../../src/parallel/parameters.js';

describe('Parameters', () => {
  let variables: tf.Variable[];
  beforeAll(() => tf.setBackend('cpu'));
  beforeEach(() => {
    variables = [
      tf.variable(tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]), true, 'w'),
      tf.variable(tf.scalar(7), true, 's'),
      tf.variable(tf.tensor1d([8, 9]), true, 'b'),
    ];
  });
  afterEach(() => tf.dispose(variables));

  it('concatenates the variables in the given order', () => {
    const parameters = new Parameters(variables);
    expect(parameters.length).toBe(9);
    expect(parameters.slots).toEqual([
      { name: 'w', shape: [2, 3], offset: 0, size: 6 },
      { name: 's', shape: [], offset: 6, size: 1 },
      { name: 'b', shape: [2], offset: 7, size: 2 },
    ]);
    const flat = new Float32Array(9);
    parameters.read(flat);
    expect([...flat]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('writeAll copies a flat array into the variables, in their shapes', () => {
    const parameters = new Parameters(variables);
    const flat = Float32Array.from({ length: 9 }, (_, index) => 10 * index);
    const before = tf.memory().numTensors;
    parameters.writeAll(flat);
    expect(tf.memory().numTensors).toBe(before);
    flat.fill(-1);
    expect(variables[0].arraySync()).toEqual([
      [0, 10, 20],
      [30, 40, 50],
    ]);
    expect(variables[1].arraySync()).toBe(60);
    expect(variables[2].arraySync()).toEqual([70, 80]);
  });

  it('readGradients finds gradients by name, and gives 0 for a variable without gradient', () => {
    const parameters = new Parameters(variables);
    const flat = new Float32Array(9).fill(99);
    tf.tidy(() => {
      const { grads } = tf.variableGrads(
        () => tf.add(tf.sum(tf.square(variables[0])), tf.mul(3, tf.sum(variables[2]))) as tf.Scalar,
        [variables[2], variables[0]],
      );
      parameters.readGradients(grads, flat);
    });
    expect([...flat]).toEqual([2, 4, 6, 8, 10, 12, 0, 3, 3]);
  });
});

describe('sha256', () => {
  it('hashes the bytes of all its arrays in order', () => {
    const whole = Float32Array.of(1, 2, 3);
    const wanted = createHash('sha256').update(Buffer.from(whole.buffer)).digest('hex');
    expect(sha256(whole)).toBe(wanted);
    expect(sha256(whole.subarray(0, 1), whole.subarray(1))).toBe(wanted);
    expect(sha256(Float32Array.of(1, 2, -3))).not.toBe(wanted);
  });
});
