import * as tf from '../../../src/tf/index.js';
import { expect } from 'vitest';
import { initBackend } from '../../../src/backend/index.js';

/** Values of the tensors that `compute` creates on a backend. */
async function on(backend: 'cpu' | 'wasm', compute: () => tf.Tensor[]): Promise<Float32Array[]> {
  await initBackend(backend);
  return tf.tidy(() => compute().map((tensor) => tensor.dataSync<'float32'>().slice()));
}

/** Expects wasm to agree with plain JavaScript to within `tolerance` times the largest value. */
export async function expectLikeCpu(compute: () => tf.Tensor[], tolerance = 1e-5): Promise<void> {
  const wanted = await on('cpu', compute);
  const found = await on('wasm', compute);
  expect(found.map(({ length }) => length)).toEqual(wanted.map(({ length }) => length));
  wanted.forEach((values, index) => {
    const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const worst = values.reduce((most, value, at) => Math.max(most, Math.abs(value - found[index][at])), 0);
    expect(values.every(Number.isFinite)).toBe(true);
    expect(worst).toBeLessThanOrEqual(tolerance * scale);
  });
}

/** Seeded standard normal numbers, equal on every backend. */
export function normal<R extends tf.Rank>(shape: tf.ShapeMap[R], seed: number): tf.Tensor<R> {
  return tf.randomNormal<R>(shape, 0, 1, 'float32', seed);
}
