import * as tf from '../../tf/index.js';
import type { Fusions } from '../backend.js';
import { isBiasGradient, registerKernel, replaceWhere } from '../kernels.js';
import { precisionNow } from '../precision.js';
import { Bfloat16 } from './bfloat16.js';
import { registerConvolutions } from './convolutions.js';
import { registerProducts } from './products.js';
import { Attributes, backendName, type NodeBackend } from './node-backend.js';

/** Registers TensorFlow's own training operations, which the npm package leaves out or reaches by detours. */
export function registerTrainingKernels(backend: NodeBackend): Fusions {
  const attributes = new Attributes(backend.binding);
  const float = attributes.float32();
  const nhwc = attributes.text('data_format', 'NHWC');
  registerConvolutions(backend);
  registerProducts(backend);
  replaceWhere(backendName, 'Sum', (inputs, given) =>
    isBiasGradient(inputs, given) && tf.util.sizeFromShape(inputs.x.shape) > 0
      ? backend.executeSingleOutput('BiasAddGrad', [float, nhwc], [inputs.x])
      : undefined,
  );
  const reluGradient = registerKernel(backendName, 'ReluGrad', ({ dy, y }) =>
    backend.executeSingleOutput('ReluGrad', [float], [dy, y]),
  );
  const narrow = new Bfloat16(backend);
  const biasGradient = registerKernel(backendName, 'PodDistAddBiasGradient', ({ dy, ...rest }) =>
    narrow.run((operations) => {
      const images = [dy, ...Object.values(rest)].map((tensor) => operations.narrow(tensor));
      const count = attributes.integers('N', images.length - 1);
      const results = operations.execute('PodDistAddBiasGradient', [count], images, images.length);
      return results.map((result) => operations.tensor(result));
    }),
  );
  return {
    reluGradient: (dy, y) => reluGradient({ dy, y })[0],
    biasGradient(dy, y) {
      if (precisionNow() !== 'bf16') return undefined;
      const [sum, g = dy] = biasGradient(y ? { dy, y } : { dy });
      return { g, sum };
    },
  };
}
