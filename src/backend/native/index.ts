import { PodDistError } from '../../util/errors.js';
import { defineBackend } from '../backend.js';
import { threadVariables } from '../devices/cpu-plan.js';
import { findAddon } from './cache.js';
import { nativeDevices } from './devices.js';

/** TensorFlow as a native library, which `pod-dist setup` builds: on CPUs and NVIDIA GPUs. */
export const native = defineBackend({
  name: 'native',
  automatic: ({ requireGpu }) => (requireGpu || findAddon() ? 'always' : 'never'),
  start: async () => (await import('./start.js')).startNative(),
  environment: ({ threads, deterministic }) => ({
    ...(threads !== undefined && threadVariables(threads, {})),
    ...(deterministic && { TF_DETERMINISTIC_OPS: '1' }),
  }),
  threaded: true,
  deterministic: true,
  synchronous: true,
  devices: nativeDevices,
  howToGetGpu: 'run pod-dist setup --cuda, or see pod-dist doctor',

  explain(error) {
    if (!(error instanceof Error) || !error.message.includes('OOM when allocating')) return undefined;
    return new PodDistError(
      'OUT_OF_MEMORY',
      'native TensorFlow needs more memory than there is: lower batchSize, or give more workers on other machines or GPUs',
      { cause: error },
    );
  },

  advise({ usable, gpu, gpus, faster }) {
    if (gpus > 0 && !gpu)
      return 'pod-dist setup --cuda: native TensorFlow on the NVIDIA GPU, the fastest there is here';
    return usable ? faster : 'pod-dist setup: native TensorFlow, several times faster than wasm';
  },
});
