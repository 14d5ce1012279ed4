import type * as tf from '../tf/index.js';
import type { PodDistError } from '../util/errors.js';
import type { Capture } from './capture.js';
import type { BatchNormOperations } from './batch-norm.js';
import type { Devices } from './devices/devices.js';
import type { Precision } from './precision.js';

/** Requirements of a backend that is started. */
export interface BackendOptions {
  /** Refuse a backend that does not compute on a GPU. */
  requireGpu?: boolean;
  /** Threads that native TensorFlow computes with on the CPU; default: what its environment says, else every core. */
  threads?: number;
  /** Use no GPU kernel whose sums have no fixed order: as many threads then compute equal numbers to equal bits. */
  deterministic?: boolean;
  /** Refuse a backend that cannot compute in this precision, or is slower in it than in float32. */
  precision?: Precision;
}

/** Operations that a backend has its own kernels for; the others are composed of ordinary operations. */
export interface Fusions {
  /** dy where the ReLU's output y is positive, else 0. */
  reluGradient?(dy: tf.Tensor, y: tf.Tensor): tf.Tensor;
  /**
   * g, which is dy where the ReLU's output y is positive, else 0, or dy without a ReLU, and its sum over all axes but the
   * last, the gradient of a bias; undefined in a precision in which the backend has nothing of its own for both.
   */
  biasGradient?(dy: tf.Tensor, y?: tf.Tensor): { g: tf.Tensor; sum: tf.Tensor } | undefined;
  batchNorm?: BatchNormOperations;
  /** Runs passes as graphs of its own. */
  capture?: Capture;
  /** Computes in bfloat16, where nothing stands in the way; absent where it cannot at all. */
  bf16?: {
    /** Why that is not possible here, or slower than float32. */
    obstacle?: string;
  };
}

/** A backend that TensorFlow.js computes on from now on. */
export interface Started {
  /** Name of the device, such as `GPU (CUDA)` or `CPU`. */
  device: string;
  gpu: boolean;
  /** Command that would make it faster here, and why. */
  faster?: string;
  fusions?: Fusions;
}

/** Findings of `pod-dist doctor` about a backend and this machine. */
export interface Found {
  usable: boolean;
  gpu?: boolean;
  faster?: string;
  /** Number of NVIDIA GPUs. */
  gpus: number;
  /** Name of a GPU that WebGPU can compute on. */
  adapter?: string;
  /** Whether a preferred backend computes on a GPU. */
  better: boolean;
}

/**
 * A backend: everything that depends on the device and the library that TensorFlow.js computes with. `backends.ts`
 * lists them. This module is loaded by every command, so it loads TensorFlow's packages only in `start`.
 */
export interface Backend<Name extends string = string> {
  /** Name, as `--backend` takes it. */
  name: Name;
  /** Whether `auto` takes it: always, only where it starts, or never. */
  automatic(options: BackendOptions): 'always' | 'where it starts' | 'never';
  /**
   * Starts it in TensorFlow.js, with every kernel that training needs; called again, it only switches back to it.
   *
   * @throws UserError `BACKEND_UNAVAILABLE`, saying what to do
   */
  start(): Promise<Started>;
  /** Environment variables that the process must have before it starts. */
  environment?(options: BackendOptions): Record<string, string>;
  /** Most bytes of memory that it can have; default: as many as the machine has. */
  memoryBytes?: number;
  /** Whether it computes with several threads. */
  threaded: boolean;
  /** Whether equal numbers come to equal bits with `deterministic` and as many threads, which `--bitwise` needs. */
  deterministic: boolean;
  /** Whether kernels have computed when their call returns, so that their time can be measured. */
  synchronous: boolean;
  devices: Devices;
  /** Advice to a user who requires a GPU where it computes on the CPU. */
  howToGetGpu: string;
  /** Explains an error of this backend, such as a lack of memory; returns undefined for every other error. */
  explain?(error: unknown): PodDistError | undefined;
  /** Names a command that would make training work, or faster, and the reason; undefined where there is none. */
  advise?(found: Found): string | undefined;
}

/** A definition of a backend that keeps its name as a type. */
export function defineBackend<Name extends string>(backend: Backend<Name>): Backend<Name> {
  return backend;
}
