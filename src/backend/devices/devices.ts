import { UserError } from '../../util/errors.js';

/** The device of each worker of a job. */
export interface DevicePlan {
  /** One entry a worker: its environment, beyond that of the launcher. */
  perWorker: {
    env: Record<string, string>;
    device: string;
    /** Command that starts the worker's own command, such as `taskset -c 0-3`. */
    within?: readonly string[];
  }[];
  /** Whether workers must find themselves on a GPU. */
  gpu: boolean;
  /** One line for the user. */
  notice?: string;
}

export interface DeviceRequest {
  /** Number of workers, one a GPU, as `--gpus` asks. */
  gpus?: number;
  /** Number of workers without `--gpus`. */
  workers: number;
  requireGpu: boolean;
  /** Whether workers on the CPU are held to cores of their own. */
  bindCores?: boolean;
}

/** Devices that a backend can compute on, and their assignment to workers. */
export interface Devices {
  /** Number of GPUs here that it may use, or that `--gpus all` would ask it to use. */
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
  /** Environment of a single worker on this machine: on a GPU where the backend can use one, else on the CPU. */
  alone(threads: number): Promise<Record<string, string>>;
  /**
   * Additions to the environment of a worker that torchrun, Slurm or MPI has started: the GPU of its local rank, of
   * those that it may use. Workers share GPUs where there are fewer; where the starter gives each worker a GPU of its
   * own, that is the only one it may use.
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
