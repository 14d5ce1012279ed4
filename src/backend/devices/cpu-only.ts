import { cpuEnvironment } from './cpu-plan.js';
import type { Devices } from './devices.js';
import { findGpus } from './nvidia.js';
import { planNvidia } from './nvidia-plan.js';

/** Devices of a backend that computes on the CPU alone; a GPU that is asked for and there is refused. */
export function cpuOnly(name: string): Devices {
  const refusal = `the ${name} backend cannot use a GPU: leave out --backend, or --gpus`;
  return {
    countGpus: async () => (await findGpus()).gpus.length,
    plan: (request) => planNvidia(request, () => refusal),
    alone: (threads) => Promise.resolve(cpuEnvironment(threads)),
    ofLocalRank: () => Promise.resolve({}),
  };
}
