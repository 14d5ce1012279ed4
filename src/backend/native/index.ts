import * as tf from '@tensorflow/tfjs';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import util from 'node:util';
import { messageOf, UserError } from '../../errors.js';
import { registerBatchNormPasses } from './batch-norm.js';
import { findAddon } from './cache.js';
import { registerFusedKernels } from './kernels.js';
import type { NodeBackend } from './node-backend.js';

const require = createRequire(import.meta.url);

/** The folder of the npm package whose kernels drive the addon; undefined where it is not installed. */
export function packageFolder(): string | undefined {
  try {
    return dirname(require.resolve('@tensorflow/tfjs-node-gpu/package.json'));
  } catch {
    return undefined;
  }
}

/** What native TensorFlow is loaded from. */
export interface Addon {
  file: string;
  /** File of operations that are added to TensorFlow. */
  operations?: string;
}

/** The addon to load: what `pod-dist setup` built, else the package's own; undefined where there is neither. */
export function findInstalled(): Addon | undefined {
  const built = findAddon();
  if (built) return built;
  const folder = packageFolder();
  const own = folder && join(folder, 'lib', 'napi-v8', 'tfjs_binding.node');
  return own && existsSync(own) ? { file: own } : undefined;
}

/**
 * Starts native TensorFlow: loads the addon and registers its kernels and the `tensorflow` backend, as the package's
 * own entry does for an addon inside node_modules.
 *
 * @param addon default: the one that `findInstalled` finds
 * @throws UserError `BACKEND_UNAVAILABLE`
 */
export async function startNative(addon: Addon | undefined = findInstalled()): Promise<{ gpu: boolean }> {
  const folder = packageFolder();
  if (!folder) {
    throw new UserError(
      'BACKEND_UNAVAILABLE',
      'native TensorFlow needs the optional package @tensorflow/tfjs-node-gpu: run npm ci without --omit=optional',
    );
  }
  if (!addon)
    throw new UserError('BACKEND_UNAVAILABLE', 'native TensorFlow is not set up here: run pod-dist setup');
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  const first = !tf.findBackend('tensorflow');
  if (first) registerBackend(folder, addon.file);
  try {
    await tf.setBackend('tensorflow');
  } catch (error) {
    throw new UserError(
      'BACKEND_UNAVAILABLE',
      `native TensorFlow does not start: ${messageOf(error)}; run pod-dist setup --force`,
    );
  }
  const backend = tf.backend() as NodeBackend;
  if (first) registerFusedKernels(backend);
  if (first && addon.operations && !backend.isUsingGpuDevice) {
    // OpenMP's threads would spin after each operation, on the cores that TensorFlow's threads need for the next one.
    process.env.OMP_WAIT_POLICY ??= 'passive';
    load(addon.operations);
    registerBatchNormPasses(backend);
  }
  return { gpu: backend.isUsingGpuDevice };
}

function registerBackend(folder: string, file: string): void {
  restoreRemovedUtilities();
  const binding = load(file);
  require(join(folder, 'dist', 'register_all_kernels.js'));
  const { NodeJSKernelBackend } = require(join(folder, 'dist', 'nodejs_kernel_backend.js')) as {
    NodeJSKernelBackend: new (binding: unknown, packageName: string) => tf.KernelBackend;
  };
  tf.registerBackend('tensorflow', () => new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node-gpu'), 3);
}

function load(file: string): unknown {
  try {
    return require(file);
  } catch (error) {
    throw new UserError(
      'BACKEND_UNAVAILABLE',
      `the native addon ${file} does not load: ${messageOf(error)}; run pod-dist setup --force`,
    );
  }
}

/** The package calls a function of node:util that Node 23 removed. */
function restoreRemovedUtilities(): void {
  const utilities = util as unknown as { isNullOrUndefined?: (value: unknown) => boolean };
  utilities.isNullOrUndefined ??= (value) => value === null || value === undefined;
}
