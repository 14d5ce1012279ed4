import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { registerTrainingKernels } from './kernels.js';

const require = createRequire(import.meta.url);

/** Starts the wasm backend (SIMD, one thread a process) with every kernel that training needs. */
export async function startWasm(): Promise<boolean> {
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
  registerTrainingKernels();
  return tf.setBackend('wasm');
}
