import * as tf from '../tf/index.js';
import { PodDistError } from '../util/errors.js';

/**
 * What an error of the running backend comes from, where that can be told; every other error is returned as it is.
 *
 * The wasm backend does not notice that its memory, 4 GB at most, is used up: it goes on at an address beyond it.
 */
export function explainFailure(error: unknown): unknown {
  const beyond = error instanceof WebAssembly.RuntimeError && error.message.includes('out of bounds');
  if (!beyond || tf.getBackend() !== 'wasm') return error;
  return new PodDistError(
    'OUT_OF_MEMORY',
    'the wasm backend needs more memory than it can have: lower batchSize, give more workers, or --backend native',
    { cause: error },
  );
}
