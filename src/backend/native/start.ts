import * as tf from '../../tf/index.js';
import { createRequire } from 'node:module';
import util from 'node:util';
import { setVariables } from '../../util/environment.js';
import { messageOf, UserError } from '../../util/errors.js';
import type { Fusions, Started } from '../backend.js';
import { fusedBatchNorm } from './batch-norm/fused.js';
import { ownBatchNorm } from './batch-norm/own.js';
import { obstacleToBf16 } from './bf16-support.js';
import { findAddon } from './cache.js';
import type { GraphAddon } from './capture/graph-addon.js';
import { captureOn } from './capture/recorder.js';
import { registerTrainingKernels } from './kernels.js';
import { backendName, type NodeBackend } from './node-backend.js';

const require = createRequire(import.meta.url);
let fusions: Fusions | undefined;

const compileOperations =
  'pod-dist setup --force: batch norm is faster with operations that did not compile here; it says why';

/** Files that native TensorFlow is loaded from. */
export interface Addon {
  file: string;
  /** File of operations that are added to TensorFlow. */
  operations?: string;
}

/**
 * Starts native TensorFlow: loads the addon and registers the kernels of @tensorflow/tfjs-node-gpu, which are bundled,
 * and the `tensorflow` backend, as that package's own entry does for an addon inside node_modules.
 *
 * @param addon default: the one that `pod-dist setup` has built
 * @throws UserError `BACKEND_UNAVAILABLE`
 */
export async function startNative(addon: Addon | undefined = findAddon()): Promise<Started> {
  if (!addon)
    throw new UserError('BACKEND_UNAVAILABLE', 'native TensorFlow is not set up here: run pod-dist setup');
  if (process.env.TF_CPP_MIN_LOG_LEVEL === undefined) setVariables({ TF_CPP_MIN_LOG_LEVEL: '2' });
  if (!tf.findBackend(backendName)) registerBackend(addon.file);
  try {
    await tf.setBackend(backendName);
  } catch (error) {
    throw new UserError(
      'BACKEND_UNAVAILABLE',
      `native TensorFlow does not start: ${messageOf(error)}; run pod-dist setup --force, or give --backend wasm`,
    );
  }
  const backend = tf.backend() as NodeBackend;
  const gpu = backend.isUsingGpuDevice;
  fusions ??= fuse(backend, addon);
  const faster = gpu || addon.operations ? undefined : compileOperations;
  return { device: gpu ? 'GPU (CUDA)' : 'CPU', gpu, faster, fusions };
}

function fuse(backend: NodeBackend, { operations }: Addon): Fusions {
  const training = registerTrainingKernels(backend);
  if (operations === undefined) {
    const obstacle = `bf16 needs operations that did not compile here: run pod-dist setup --force, it says why`;
    return { ...training, batchNorm: fusedBatchNorm(backend), bf16: { obstacle } };
  }
  // OpenMP's threads would spin after each operation, on the cores that TensorFlow's threads need for the next one.
  if (process.env.OMP_WAIT_POLICY === undefined) setVariables({ OMP_WAIT_POLICY: 'passive' });
  const capture = captureOn(backend, load(operations) as GraphAddon);
  if (backend.isUsingGpuDevice) {
    const obstacle = 'native TensorFlow computes in bf16 on processors alone, not on GPUs';
    return { ...training, batchNorm: fusedBatchNorm(backend), capture, bf16: { obstacle } };
  }
  return { ...training, batchNorm: ownBatchNorm(backend), capture, bf16: { obstacle: obstacleToBf16() } };
}

function registerBackend(file: string): void {
  restoreRemovedUtilities();
  const binding = load(file);
  const { NodeJSKernelBackend } = require('./node-kernels.cjs') as {
    NodeJSKernelBackend: new (binding: unknown, packageName: string) => tf.KernelBackend;
  };
  tf.registerBackend(backendName, () => new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node-gpu'), 3);
}

function load(file: string): unknown {
  try {
    return require(file);
  } catch (error) {
    throw new UserError(
      'BACKEND_UNAVAILABLE',
      `the native addon ${file} does not load: ${messageOf(error)}; run pod-dist setup --force, or give --backend wasm`,
    );
  }
}

/** The package calls a function of node:util that Node 23 removed. */
function restoreRemovedUtilities(): void {
  const utilities = util as unknown as { isNullOrUndefined?: (value: unknown) => boolean };
  utilities.isNullOrUndefined ??= (value) => value === null || value === undefined;
}
