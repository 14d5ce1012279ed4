import { PodDistError } from '../../util/errors.js';
import { defineBackend } from '../backend.js';
import { cpuOnly } from '../devices/cpu-only.js';

const name = 'cpu';

/** TensorFlow.js in plain JavaScript: slow, and there wherever Node.js is. */
export const cpu = defineBackend({
  name,
  automatic: () => 'always',
  async start() {
    const tf = await import('../../tf/index.js');
    await tf.setBackend(name);
    return { device: 'CPU', gpu: false };
  },
  threaded: false,
  deterministic: true,
  synchronous: true,
  devices: cpuOnly(name),
  howToGetGpu: 'give --backend native or webgpu',

  explain(error) {
    if (!(error instanceof RangeError && /array (buffer )?(allocation|length)/i.test(error.message)))
      return undefined;
    return new PodDistError(
      'OUT_OF_MEMORY',
      'the cpu backend needs more memory than there is: lower batchSize, or give --backend wasm or native',
      { cause: error },
    );
  },
});
