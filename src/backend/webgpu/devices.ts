import { UserError } from '../../util/errors.js';
import { cpuEnvironment, shareOfCores } from '../devices/cpu-plan.js';
import type { Devices } from '../devices/devices.js';
import { findAdapters } from './adapters.js';
import { adapterVariable, noAdapter } from './dawn.js';

/**
 * WebGPU adapters: worker r gets the r-th, and starts again at the first where there are fewer adapters than workers.
 * GPUs that compute come before software, which is used where there is nothing else and no GPU was asked for.
 */
export const webgpuDevices: Devices = {
  countGpus: async () => (await usableAdapters()).gpus.length,

  async plan({ gpus: wanted, workers, requireGpu }) {
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
    const notice = adapters[0].software
      ? `no GPU here: WebGPU computes on the CPU (${adapters[0].name}), slower than --backend wasm`
      : undefined;
    return { perWorker, gpu: requireGpu || (wanted !== undefined && gpus.length > 0), notice };
  },

  alone: (threads) => Promise.resolve(cpuEnvironment(threads)),

  async ofLocalRank(localRank) {
    const { adapters } = await usableAdapters();
    return { [adapterVariable]: adapters[localRank % adapters.length].name };
  },
};

/** WebGPU adapters that are GPUs, and all that are to be used: those, or software where there are none. */
async function usableAdapters() {
  const found = await findAdapters();
  if (found.length === 0) throw noAdapter();
  const gpus = found.filter(({ software }) => !software);
  return { gpus, adapters: gpus.length > 0 ? gpus : found };
}
