import * as tf from '../../../src/tf/index.js';
import type { BackendName } from '../../../src/backend/backends.js';
import { initBackend } from '../../../src/backend/index.js';

/** Values as float64 of the tensors that `compute` returns on a backend; throws if `compute` leaks tensors. */
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
 * Expects numbers to agree to within `tolerance` times the largest expected number, or times `magnitude`: for sums, the
 * magnitude of their terms.
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
