import * as tf from '../../tf/index.js';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { messageOf, UserError } from '../../util/errors.js';
import type { Fusions, Started } from '../backend.js';
import { backendName, Heap } from './heap.js';
import { registerTrainingKernels } from './kernels.js';

const require = createRequire(import.meta.url);
let fusions: Fusions | undefined;

/**
 * Starts the wasm backend (SIMD, one thread a process) with every kernel that training needs.
 *
 * @throws UserError `BACKEND_UNAVAILABLE`
 */
export async function startWasm(): Promise<Started> {
  if (!fusions) setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
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
