import { findAddon } from '../../backend/native/cache.js';
import { adapterVariable, noAdapter } from '../../backend/webgpu/dawn.js';
import type { Config } from '../../config/schema.js';
import { availableCores } from '../../util/cores.js';
import { UserError } from '../../util/errors.js';
import { findAdapters } from './adapters.js';
import { bindingCommands } from './core-binding.js';
import { findGpus } from './gpus.js';
import { threadVariables } from './worker-threads.js';

/** The device of each worker of a job. */
export interface DevicePlan {
  /** One entry a worker: what its environment says beyond the launcher's own. */
  perWorker: {
    env: Record<string, string>;
    device: string;
    /** Command that starts the worker's own, such as `taskset -c 0-3`. */
    within?: readonly string[];
  }[];
  /** Workers must find themselves on a GPU. */
  gpu: boolean;
  /** One line for the user. */
  notice?: string;
}

export type GpuCount = number | 'all';

/** Reads the value of `--gpus`; throws a `UserError` if it is not a number of GPUs. */
export function readGpus(text: string | undefined): GpuCount | undefined {
  if (text === undefined || text === 'all') return text;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new UserError(
    'USAGE',
    `--gpus ${text}: give a number from 1 on, or all; --workers starts workers on the CPU`,
  );
}

/** Workers that `--gpus` starts: so many, or one for each GPU that there is, at least one. */
export async function countGpus(gpus: GpuCount, backend: Config['backend']): Promise<number> {
  if (gpus !== 'all') return gpus;
  const found = backend === 'webgpu' ? (await usableAdapters()).gpus : (await findGpus()).gpus;
  return Math.max(1, found.length);
}

export interface DeviceRequest {
  /** Workers, one a GPU, as `--gpus` asks. */
  gpus?: number;
  /** Workers otherwise. */
  workers: number;
  requireGpu: boolean;
  backend: Config['backend'];
  /** Hold workers on the CPU to cores of their own. */
  bindCores?: boolean;
}

/**
 * Gives each worker its device: a GPU of its own where GPUs are asked for, with webgpu an adapter, else its share of the
 * cores.
 *
 * `--gpus` on a machine without any GPU means CPU workers, with a notice; fewer GPUs than asked, or a backend that
 * cannot use them, is a `UserError`, never a silent run on the CPU.
 */
export async function planDevices(request: DeviceRequest): Promise<DevicePlan> {
  const { gpus: wanted, requireGpu, backend, bindCores } = request;
  const workers = wanted ?? request.workers;
  if (backend === 'webgpu') return planAdapters(request);
  if (wanted === undefined && !requireGpu) return cpuPlan(workers, bindCores);
  const { gpus, none } = await findGpus();
  if (gpus.length === 0) {
    if (requireGpu)
      throw new UserError(
        'GPU_UNAVAILABLE',
        `there is no NVIDIA GPU to use: ${none}; leave out --require-gpu to train on the CPU`,
      );
    return {
      ...cpuPlan(workers, bindCores),
      notice: `no GPU here (${none}): ${workers} worker${workers === 1 ? ' trains' : 's train'} on the CPU`,
    };
  }
  if (gpus.length < workers) {
    throw new UserError(
      'GPU_UNAVAILABLE',
      `${workers} GPUs asked for, ${gpus.length} here: give --gpus ${gpus.length}, or --workers for workers on the CPU`,
    );
  }
  if (backend === 'wasm' || backend === 'cpu') {
    throw new UserError(
      'GPU_UNAVAILABLE',
      `the ${backend} backend cannot use a GPU: leave out --backend, or --gpus`,
    );
  }
  const addon = findAddon();
  if (!addon?.manifest.cuda) {
    throw new UserError(
      'GPU_UNAVAILABLE',
      `${gpus.length} GPUs here, but TensorFlow for CUDA is not set up: run pod-dist setup --cuda, or give --workers for workers on the CPU`,
    );
  }
  const perWorker = gpus.slice(0, workers).map((gpu) => ({
    device: gpu,
    env: gpuEnvironment(gpu),
  }));
  return { perWorker, gpu: true };
}

/**
 * WebGPU adapters: worker r gets the r-th, and starts again at the first where there are fewer adapters than workers.
 * GPUs that compute come before software, which is used where there is nothing else and no GPU was asked for.
 */
async function planAdapters({ gpus: wanted, workers, requireGpu }: DeviceRequest): Promise<DevicePlan> {
  const { adapters, gpus } = await usableAdapters();
  const count = wanted ?? workers;
  if (requireGpu && gpus.length === 0) {
    throw new UserError(
      'GPU_UNAVAILABLE',
      'WebGPU finds no GPU here: install its Vulkan driver, or leave out --require-gpu',
    );
  }
  if (gpus.length > 0 && wanted !== undefined && gpus.length < wanted) {
    throw new UserError(
      'GPU_UNAVAILABLE',
      `${wanted} GPUs asked for, WebGPU finds ${gpus.length}: give --gpus ${gpus.length}, or --workers for workers that share`,
    );
  }
  const threads = shareOfCores(count);
  const perWorker = Array.from({ length: count }, (_, rank) => {
    const { name } = adapters[rank % adapters.length];
    return { device: name, env: { ...threads, [adapterVariable]: name } };
  });
  const software = adapters[0].software
    ? `no GPU here: WebGPU computes on the CPU (${adapters[0].name}), slower than --backend wasm`
    : undefined;
  return { perWorker, gpu: requireGpu || (wanted !== undefined && gpus.length > 0), notice: software };
}

/** WebGPU adapters that are GPUs, and all that are to be used: those, or software where there are none. */
async function usableAdapters() {
  const found = await findAdapters();
  if (found.length === 0) throw noAdapter();
  const gpus = found.filter(({ software }) => !software);
  return { gpus, adapters: gpus.length > 0 ? gpus : found };
}

/** The environment of one worker alone on this machine: on a GPU where the backend can use one, else the CPU. */
export async function workerEnvironment(
  backend: Config['backend'],
  threads = availableCores(),
): Promise<Record<string, string>> {
  if (backend === 'webgpu') return cpuEnvironment(threads);
  const gpus = backend === 'native' || backend === 'auto' ? (await findGpus()).gpus : [];
  if (gpus.length > 0 && findAddon()?.manifest.cuda) {
    const plan = await planDevices({ gpus: 1, workers: 1, requireGpu: false, backend });
    return plan.perWorker[0].env;
  }
  return cpuEnvironment(threads);
}

/**
 * What a worker that torchrun, Slurm or MPI has started adds to its environment: the GPU (with webgpu the adapter) of
 * its local rank, of those that it may use. Workers share where there are fewer; where the starter gives each worker
 * one of its own, that is the only one it may use.
 */
export async function ownGpu(localRank: number, backend: Config['backend']): Promise<Record<string, string>> {
  if (backend === 'webgpu') {
    const { adapters } = await usableAdapters();
    return { [adapterVariable]: adapters[localRank % adapters.length].name };
  }
  if (backend === 'wasm' || backend === 'cpu' || !findAddon()?.manifest.cuda) return {};
  const gpus = (await findGpus()).gpus;
  if (gpus.length === 0) return {};
  return gpuEnvironment(gpus[localRank % gpus.length]);
}

function gpuEnvironment(gpu: string): Record<string, string> {
  return { CUDA_VISIBLE_DEVICES: gpu, TF_FORCE_GPU_ALLOW_GROWTH: 'true' };
}

function cpuEnvironment(threads: number): Record<string, string> {
  return { CUDA_VISIBLE_DEVICES: '', ...threadVariables(threads, {}) };
}

/** The environment of each of so many workers that divide the cores. */
function shareOfCores(workers: number): Record<string, string> {
  return cpuEnvironment(Math.max(1, Math.floor(availableCores() / workers)));
}

function cpuPlan(workers: number, bindCores = false): DevicePlan {
  const env = shareOfCores(workers);
  const commands = bindCores ? bindingCommands(workers) : undefined;
  return {
    gpu: false,
    perWorker: Array.from({ length: workers }, (_, rank) => ({
      env,
      device: 'CPU',
      within: commands?.[rank],
    })),
  };
}
