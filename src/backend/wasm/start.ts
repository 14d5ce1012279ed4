import * as tf from '../../tf/index.js';
import type * as wasmPackage from '@tensorflow/tfjs-backend-wasm';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { messageOf, UserError } from '../../util/errors.js';
import type { Fusions, Started } from '../backend.js';
import { backendName, Heap } from './heap.js';
import { registerTrainingKernels } from './kernels.js';

const require = createRequire(import.meta.url);
const packageName = '@tensorflow/tfjs-backend-wasm';
let fusions: Fusions | undefined;

/**
 * Starts the wasm backend (SIMD, one thread a process) with every kernel that training needs.
 *
 * @throws UserError `BACKEND_UNAVAILABLE`
 */
export async function startWasm(): Promise<Started> {
  if (!fusions) {
    const { setWasmPaths } = require(packageName) as typeof wasmPackage;
    setWasmPaths(`${dirname(require.resolve(packageName))}/`);
  }
  try {
    const isStarted = await tf.setBackend(backendName);
    if (!isStarted) throw new Error('TensorFlow.js cannot load it');
    fusions ??= registerTrainingKernels(Heap.open());
  } catch (error) {
    throw new UserError(
      'BACKEND_UNAVAILABLE',
      `the wasm backend does not start: ${messageOf(error)}; run npm ci again, or give --backend cpu`,
    );
  }
  return { device: 'CPU', gpu: false, fusions };
}
