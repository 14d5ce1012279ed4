import * as tf from '../../src/tf/index.js';
import type { BackendName } from '../../src/backend/backends.js';
import { findAddon } from '../../src/backend/native/cache.js';
import { listAdapters } from '../../src/backend/webgpu/dawn.js';

/** Backends faster than plain JavaScript that run here: native where `pod-dist setup` has built it, webgpu with a driver. */
export const accelerated: BackendName[] = ['wasm'];
if (findAddon()) accelerated.unshift('native');
if ((await listAdapters().catch(() => [])).length > 0) accelerated.push('webgpu');
else console.warn('webgpu is not tested: no Vulkan driver here');

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
