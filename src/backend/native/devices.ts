import { cpuEnvironment } from '../devices/cpu-plan.js';
import type { Devices } from '../devices/devices.js';
import { findGpus } from '../devices/nvidia.js';
import { gpuEnvironment, planNvidia } from '../devices/nvidia-plan.js';
import { findAddon } from './cache.js';

/** NVIDIA GPUs where TensorFlow for CUDA is set up, else the CPU. */
export const nativeDevices: Devices = {
  countGpus: async () => (await findGpus()).gpus.length,

  plan: (request) =>
    planNvidia(request, (gpus) =>
      hasCuda()
        ? undefined
        : `${gpus} GPUs here, but TensorFlow for CUDA is not set up: run pod-dist setup --cuda, or give --workers for workers on the CPU`,
    ),

  async alone(threads) {
    const { gpus } = await findGpus();
    return gpus.length > 0 && hasCuda() ? gpuEnvironment(gpus[0]) : cpuEnvironment(threads);
  },

  async ofLocalRank(localRank) {
    if (!hasCuda()) return {};
    const { gpus } = await findGpus();
    return gpus.length > 0 ? gpuEnvironment(gpus[localRank % gpus.length]) : {};
  },
};

function hasCuda(): boolean {
  return findAddon()?.manifest.cuda ?? false;
}
