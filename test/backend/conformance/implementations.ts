import * as tf from '../../../src/tf/index.js';
import type { BackendName } from '../../../src/backend/backends.js';
import { initBackend } from '../../../src/backend/index.js';

/** Values of tensors as float64; what `compute` leaves behind is an error. */
export async function valuesOn(name: BackendName, compute: () => tf.Tensor[]): Promise<Float64Array[]> {
  await initBackend(name);
  const before = tf.memory().numTensors;
  const tensors = tf.tidy(compute);
  const values = tensors.map(valuesOf);
  tf.dispose(tensors);
  const left = tf.memory().numTensors - before;
  if (left !== 0) throw new Error(`${left} tensors are left behind`);
  return values;
}

export function valuesOf(tensor: tf.Tensor): Float64Array {
  return Float64Array.from(tensor.dataSync<'float32'>());
}

/**
 * Expects numbers to agree within a part of the largest expected one, or of a given magnitude: that of the terms where
 * numbers are sums of them.
 */
export function expectWithin(
  tolerance: number,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  magnitude = Array.from(expected).reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30),
): void {
  if (actual.length !== expected.length)
    throw new Error(`there are ${actual.length} values, not ${expected.length}`);
  let [worst, at] = [0, 0];
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs(actual[index] - expected[index]);
    if (!(difference <= worst)) [worst, at] = [difference, index];
    if (Number.isNaN(difference)) break;
  }
  if (!(worst <= tolerance * magnitude))
    throw new Error(
      `value ${at} is ${actual[at]}, not ${expected[at]}: off by ${worst / magnitude} of ${magnitude}`,
    );
}
