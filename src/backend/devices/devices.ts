import { UserError } from '../../util/errors.js';

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

export interface DeviceRequest {
  /** Workers, one a GPU, as `--gpus` asks. */
  gpus?: number;
  /** Workers otherwise. */
  workers: number;
  requireGpu: boolean;
  /** Hold workers on the CPU to cores of their own. */
  bindCores?: boolean;
}

/** What a backend can compute on, and how a worker is told which device is its own. */
export interface Devices {
  /** GPUs here that it may use, or that it would be asked for with `--gpus all`. */
  countGpus(): Promise<number>;
  /**
   * Gives each worker its device: a GPU of its own where GPUs are asked for, else its share of the cores.
   *
   * `--gpus` on a machine without any GPU means CPU workers, with a notice.
   *
   * @throws UserError `GPU_UNAVAILABLE` for fewer GPUs than asked, or a backend that cannot use them: never a silent run
   * on the CPU
   */
  plan(request: DeviceRequest): Promise<DevicePlan>;
  /** The environment of one worker alone on this machine: on a GPU where the backend can use one, else the CPU. */
  alone(threads: number): Promise<Record<string, string>>;
  /**
   * What a worker that torchrun, Slurm or MPI has started adds to its environment: the GPU of its local rank, of those
   * that it may use. Workers share where there are fewer; where the starter gives each worker one of its own, that is
   * the only one it may use.
   */
  ofLocalRank(localRank: number): Promise<Record<string, string>>;
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
