import { PodDistError } from '../../util/errors.js';
import { defineBackend } from '../backend.js';
import { cpuOnly } from '../devices/cpu-only.js';

const name = 'wasm';

/** WebAssembly with SIMD, one thread a process: what runs everywhere. */
export const wasm = defineBackend({
  name,
  automatic: () => 'where it starts',
  start: async () => (await import('./start.js')).startWasm(),
  memoryBytes: 2 ** 32,
  threaded: false,
  deterministic: true,
  synchronous: true,
  devices: cpuOnly(name),
  howToGetGpu: 'give --backend native or webgpu',

  /** Explains accesses out of bounds: the backend does not notice that its memory, 4 GB at most, is used up. */
  explain(error) {
    if (!(error instanceof WebAssembly.RuntimeError && error.message.includes('out of bounds')))
      return undefined;
    return new PodDistError(
      'OUT_OF_MEMORY',
      'the wasm backend needs more memory than it can have: lower batchSize, give more workers, or --backend native',
      { cause: error },
    );
  },
});
