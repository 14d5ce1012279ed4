import * as tf from '../../src/tf/index.js';
import { backendNames, type BackendName } from '../../src/backend/backends.js';
import { findAddon } from '../../src/backend/native/cache.js';
import { listAdapters } from '../../src/backend/webgpu/dawn.js';
import { needs } from '../needs.js';

const adapters = await listAdapters().catch(() => []);

/** Requirements of backends that do not run on every machine. */
const requirements: Partial<Record<BackendName, ReturnType<typeof needs>>> = {
  native: needs('native TensorFlow (pod-dist setup)', findAddon()),
  webgpu: needs('a Vulkan driver for webgpu', adapters.length > 0),
};

/** Options of a backend's tests, which are skipped if the backend does not run here. */
export const onBackend = (name: BackendName) => requirements[name] ?? needs(name, true);

/** Backends that run on this machine. */
export const backendsHere = backendNames.filter((name) => !onBackend(name).skip);

/** Backends that run on this machine, except plain JavaScript. */
export const accelerated = backendsHere.filter((name) => name !== 'cpu');

/** Reproducible numbers in [mean - 1.5, mean + 1.5), the same on every backend. */
export function normal(shape: number[], seed: number, mean = 0): tf.Tensor {
  const buffer = tf.buffer(shape);
  const random = tf.util.sizeFromShape(shape);
  for (let index = 0; index < random; index++) {
    const angle = Math.sin(12.9898 * (index + 1) + 78.233 * seed) * 43758.5453;
    buffer.values[index] = mean + 3 * (angle - Math.floor(angle)) - 1.5;
  }
  return buffer.toTensor();
}
