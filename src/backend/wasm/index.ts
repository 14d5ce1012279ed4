import * as tf from '../../tf/index.js';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { offer } from '../running.js';
import { backendName, Heap } from './heap.js';
import { registerTrainingKernels } from './kernels.js';

const require = createRequire(import.meta.url);
let heap: Heap | undefined;

/** Starts the wasm backend (SIMD, one thread a process) with every kernel that training needs. */
export async function startWasm(): Promise<boolean> {
  if (!heap) setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
  const started = await tf.setBackend(backendName);
  if (started && !heap) {
    heap = Heap.open();
    offer(registerTrainingKernels(heap));
  }
  return started;
}
