import { availableCores } from '../../util/cores.js';
import { bindingCommands } from './core-binding.js';
import type { DevicePlan } from './devices.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Workers on the CPU: each has its share of the cores. */
export function cpuPlan(workers: number, bindCores = false): DevicePlan {
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

/** The environment of each of so many workers that divide the cores. */
export function shareOfCores(workers: number): Record<string, string> {
  return cpuEnvironment(Math.max(1, Math.floor(availableCores() / workers)));
}

/** The environment of a worker on the CPU. */
export function cpuEnvironment(threads: number): Record<string, string> {
  return { CUDA_VISIBLE_DEVICES: '', ...threadVariables(threads, {}) };
}

/** Variables that hold TensorFlow and OpenMP to so many threads, but where the user has set them. */
export function threadVariables(threads: number, environment: Environment): Record<string, string> {
  const wanted = {
    TF_NUM_INTRAOP_THREADS: String(threads),
    TF_NUM_INTEROP_THREADS: '1',
    OMP_NUM_THREADS: String(threads),
  };
  return Object.fromEntries(Object.entries(wanted).filter(([name]) => environment[name] === undefined));
}
