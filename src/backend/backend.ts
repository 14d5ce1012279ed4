import type * as tf from '../tf/index.js';
import type { PodDistError } from '../util/errors.js';
import type { BatchNormOperations } from './batch-norm.js';
import type { Devices } from './devices/devices.js';

export interface BackendOptions {
  /** Refuse a backend that does not compute on a GPU. */
  requireGpu?: boolean;
  /** Threads that native TensorFlow computes with on the CPU; default: what its environment says, else every core. */
  threads?: number;
  /** No GPU kernel whose sums have no order: with as many threads the same numbers come to the same bits. */
  deterministic?: boolean;
}

/** Operations that a backend has kernels of its own for; what it leaves out is composed of ordinary operations. */
export interface Fusions {
  /** dy where the ReLU's output y is positive, else 0. */
  reluGradient?(dy: tf.Tensor, y: tf.Tensor): tf.Tensor;
  batchNorm?: BatchNormOperations;
}

/** A backend that TensorFlow.js computes on from now on. */
export interface Started {
  /** What computes, such as `GPU (CUDA)` or `CPU`. */
  device: string;
  gpu: boolean;
  /** Where it could be faster here: a command, and why. */
  faster?: string;
  fusions?: Fusions;
}

/** What `pod-dist doctor` has found about a backend and this machine. */
export interface Found {
  usable: boolean;
  gpu?: boolean;
  faster?: string;
  /** NVIDIA GPUs. */
  gpus: number;
  /** A GPU that WebGPU can compute on. */
  adapter?: string;
  /** A backend to be preferred computes on a GPU. */
  better: boolean;
}

/**
 * A backend: all that depends on what TensorFlow.js computes with. `backends.ts` lists them. This module is loaded by
 * every command, so it loads TensorFlow's packages only in `start`.
 */
export interface Backend<Name extends string = string> {
  /** As `--backend` names it. */
  name: Name;
  /** Whether `auto` takes it: in any case, only where it starts, or not at all. */
  automatic(options: BackendOptions): 'always' | 'where it starts' | 'never';
  /**
   * Starts it in TensorFlow.js, with every kernel that training needs; called again, it only switches back to it.
   *
   * @throws UserError `BACKEND_UNAVAILABLE`, saying what to do
   */
  start(): Promise<Started>;
  /** Variables of the process that must be set before it starts. */
  environment?(options: BackendOptions): Record<string, string>;
  /** It computes with several threads. */
  threaded: boolean;
  /** Equal numbers come to equal bits with `deterministic` and as many threads, which `--bitwise` needs. */
  deterministic: boolean;
  /** Kernels have computed when their call returns, so that their time can be measured. */
  synchronous: boolean;
  devices: Devices;
  /** What to do where it computes on the CPU and a GPU was asked for. */
  howToGetGpu: string;
  /** What an error of its own comes from, such as a lack of memory; undefined for every other error. */
  explain?(error: unknown): PodDistError | undefined;
  /** What would make training work, or faster: a command, and why. */
  advise?(found: Found): string | undefined;
}

/** A definition of a backend that keeps its name as a type. */
export function defineBackend<Name extends string>(backend: Backend<Name>): Backend<Name> {
  return backend;
}
