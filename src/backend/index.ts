import * as tf from '../tf/index.js';
import { messageOf, UserError } from '../util/errors.js';
import { replaceGradients } from './gradients.js';
import { findAddon } from './native/cache.js';
import type { BackendName } from './names.js';
import { startNative } from './native/index.js';
import { startWasm } from './wasm/index.js';
import { startWebgpu } from './webgpu/index.js';

export type { BackendName } from './names.js';

/** A TensorFlow.js backend that is ready to train. */
export interface Backend {
  name: BackendName;
  tf: typeof tf;
  /** What computes, such as `GPU (CUDA)` or `CPU`. */
  device: string;
  gpu: boolean;
  /** Where it could be faster here: a command, and why. */
  faster?: string;
}

export interface BackendOptions {
  /** Refuse a native backend that does not compute on a GPU. */
  requireGpu?: boolean;
  /** Threads that native TensorFlow computes with on the CPU; default: what its environment says, else every core. */
  threads?: number;
  /** No GPU kernel whose sums have no order: with as many threads the same numbers come to the same bits. */
  deterministic?: boolean;
}

/**
 * Starts a backend and registers the kernels that it lacks for training. `auto` takes native TensorFlow where
 * `pod-dist setup` has built it, else the first that works of wasm and plain JavaScript; webgpu is started by name only.
 *
 * @throws UserError `BACKEND_UNAVAILABLE` for a named backend, or a native one that was set up, that cannot run here,
 * saying what to do
 */
export async function initBackend(
  name: BackendName | 'auto' = 'auto',
  options: BackendOptions = {},
): Promise<Backend> {
  Object.assign(process.env, nativeVariables(options));
  tf.enableProdMode();
  replaceGradients();
  if (name !== 'auto') return start(name, options);
  if (findAddon() || options.requireGpu) return start('native', options);
  try {
    return await start('wasm', options);
  } catch {
    return start('cpu', options);
  }
}

async function start(name: BackendName, { requireGpu = false }: BackendOptions): Promise<Backend> {
  const backend = await starters[name]();
  if (requireGpu && !backend.gpu) {
    throw new UserError(
      'GPU_UNAVAILABLE',
      `a GPU was asked for, but the ${name} backend computes on ${backend.device}: ${gpuAdvice[name]}`,
    );
  }
  return backend;
}

/** What native TensorFlow reads when it is loaded. */
function nativeVariables({ threads, deterministic = false }: BackendOptions): Record<string, string> {
  return {
    ...(threads !== undefined && {
      TF_NUM_INTRAOP_THREADS: String(threads),
      TF_NUM_INTEROP_THREADS: '1',
      OMP_NUM_THREADS: String(threads),
    }),
    ...(deterministic && { TF_DETERMINISTIC_OPS: '1' }),
  };
}

const gpuAdvice: Record<BackendName, string> = {
  native: 'run pod-dist setup --cuda, or see pod-dist doctor',
  webgpu: "install the GPU's Vulkan driver, or see pod-dist doctor",
  wasm: 'give --backend native or webgpu',
  cpu: 'give --backend native or webgpu',
};

const starters: Record<BackendName, () => Promise<Backend>> = {
  async native() {
    const { gpu, faster } = await startNative();
    return { name: 'native', tf, device: gpu ? 'GPU (CUDA)' : 'CPU', gpu, faster };
  },
  async webgpu() {
    const { gpu, device } = await startWebgpu();
    return { name: 'webgpu', tf, device, gpu };
  },
  async wasm() {
    let started = false;
    try {
      started = await startWasm();
    } catch (error) {
      throw new UserError(
        'BACKEND_UNAVAILABLE',
        `the wasm backend does not start: ${messageOf(error)}; run npm ci again`,
      );
    }
    if (!started)
      throw new UserError('BACKEND_UNAVAILABLE', 'the wasm backend does not start here; use --backend cpu');
    return { name: 'wasm', tf, device: 'CPU', gpu: false };
  },
  async cpu() {
    await tf.setBackend('cpu');
    return { name: 'cpu', tf, device: 'CPU', gpu: false };
  },
};
