import * as tf from '../../src/tf/index.js';
import { expect } from 'vitest';
import { initBackend, type BackendName } from '../../src/backend/index.js';
import { findAddon } from '../../src/backend/native/cache.js';
import { listAdapters } from '../../src/backend/webgpu/dawn.js';

/** Backends faster than plain JavaScript that run here: native where `pod-dist setup` has built it, webgpu with a driver. */
export const accelerated: BackendName[] = ['wasm'];
if (findAddon()) accelerated.unshift('native');
if ((await listAdapters().catch(() => [])).length > 0) accelerated.push('webgpu');
else console.warn('webgpu is not tested: no Vulkan driver here');

/** Runs `compute` on a backend and gives the values of its tensors. */
export async function valuesOn(name: BackendName, compute: () => tf.Tensor[]): Promise<Float32Array[]> {
  await initBackend(name);
  const before = tf.memory().numTensors;
  const values = tf.tidy(() => compute().map((tensor) => Float32Array.from(tensor.dataSync())));
  expect(tf.memory().numTensors - before, 'tensors left behind').toBe(0);
  return values;
}

/** Expects every tensor of `compute` to agree with the cpu backend, relative to its largest value. */
export async function expectLikeCpu(
  name: BackendName,
  compute: () => tf.Tensor[],
  tolerance = 1e-5,
): Promise<void> {
  const expected = await valuesOn('cpu', compute);
  const actual = await valuesOn(name, compute);
  expected.forEach((values, index) => expectClose(actual[index], values, tolerance));
}

export function expectClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30);
  let worst = 0;
  for (let index = 0; index < expected.length; index++)
    worst = Math.max(worst, Math.abs(actual[index] - expected[index]) / scale);
  expect(worst).toBeLessThan(tolerance);
}

/** Normally distributed numbers, the same on every backend. */
export function normal(shape: number[], seed: number, mean = 0): tf.Tensor {
  const buffer = tf.buffer(shape);
  const random = tf.util.sizeFromShape(shape);
  for (let index = 0; index < random; index++) {
    const angle = Math.sin(12.9898 * (index + 1) + 78.233 * seed) * 43758.5453;
    buffer.values[index] = mean + 3 * (angle - Math.floor(angle)) - 1.5;
  }
  return buffer.toTensor();
}
