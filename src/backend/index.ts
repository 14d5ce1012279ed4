import * as tf from '../tf/index.js';
import { setVariables } from '../util/environment.js';
import { UserError } from '../util/errors.js';
import type { Backend as Definition, BackendOptions, Started } from './backend.js';
import { backendOf, backends, type BackendChoice, type BackendName } from './backends.js';
import { replaceGradients } from './gradients.js';
import { enter, requirePrecision } from './running.js';

/** A TensorFlow.js backend that is ready to train. */
export interface Backend extends Omit<Started, 'fusions'> {
  name: BackendName;
  tf: typeof tf;
}

/**
 * Starts a backend and registers the kernels that it lacks for training. `auto` takes native TensorFlow where
 * `pod-dist setup` has built it, else the first that works of wasm and plain JavaScript; webgpu is started by name only.
 *
 * @throws UserError `BACKEND_UNAVAILABLE` for a named backend, or a native one that was set up, that cannot run here,
 * saying what to do
 * @example
 * import { initBackend } from 'pod-dist';
 *
 * const { name, device, tf } = await initBackend('wasm');
 * console.log(name, device, tf.memory().numTensors);
 */
export async function initBackend(
  name: BackendChoice = 'auto',
  options: BackendOptions = {},
): Promise<Backend> {
  tf.enableProdMode();
  replaceGradients();
  if (name !== 'auto') return start(backendOf(name), options);
  let failure: unknown;
  for (const backend of backends) {
    const choice = backend.automatic(options);
    if (choice === 'never') continue;
    try {
      return await start(backend, options);
    } catch (error) {
      failure = error;
      if (choice === 'always') break;
    }
  }
  throw failure;
}

async function start(definition: Definition<BackendName>, options: BackendOptions): Promise<Backend> {
  const { name, howToGetGpu } = definition;
  setVariables(definition.environment?.(options));
  const { fusions, ...about } = await definition.start();
  enter(definition, fusions);
  if (options.requireGpu && !about.gpu) {
    throw new UserError(
      'GPU_UNAVAILABLE',
      `a GPU was asked for, but the ${name} backend computes on ${about.device}: ${howToGetGpu}`,
    );
  }
  if (options.precision) requirePrecision(options.precision);
  return { name, tf, ...about };
}
