import { UserError } from '../../util/errors.js';
import { cpuPlan } from './cpu-plan.js';
import type { DevicePlan, DeviceRequest } from './devices.js';
import { findGpus } from './nvidia.js';

/** NVIDIA GPUs, one a worker, where they are asked for, else the CPU. `refuse` says why a backend cannot use them. */
export async function planNvidia(
  { gpus: wanted, workers: otherwise, requireGpu, bindCores }: DeviceRequest,
  refuse: (gpus: number) => string | undefined,
): Promise<DevicePlan> {
  const workers = wanted ?? otherwise;
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
  const refusal = refuse(gpus.length);
  if (refusal !== undefined) throw new UserError('GPU_UNAVAILABLE', refusal);
  const perWorker = gpus.slice(0, workers).map((gpu) => ({ device: gpu, env: gpuEnvironment(gpu) }));
  return { perWorker, gpu: true };
}

/** The environment of a worker on one NVIDIA GPU, as `CUDA_VISIBLE_DEVICES` names it. */
export function gpuEnvironment(gpu: string): Record<string, string> {
  return { CUDA_VISIBLE_DEVICES: gpu, TF_FORCE_GPU_ALLOW_GROWTH: 'true' };
}
