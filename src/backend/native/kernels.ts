import * as tf from '../../tf/index.js';
import type { Fusions } from '../backend.js';
import { isBiasGradient, registerKernel, replaceWhere } from '../kernels.js';
import { registerConvolutions } from './convolutions.js';
import { Attributes, backendName, type NodeBackend } from './node-backend.js';

/** Registers TensorFlow's own training operations, which the npm package leaves out or reaches by detours. */
export function registerTrainingKernels(backend: NodeBackend): Fusions {
  const attributes = new Attributes(backend.binding);
  const float = attributes.float32();
  const nhwc = attributes.text('data_format', 'NHWC');
  registerConvolutions(backend);
  replaceWhere(backendName, 'Sum', (inputs, given) =>
    isBiasGradient(inputs, given) && tf.util.sizeFromShape(inputs.x.shape) > 0
      ? backend.executeSingleOutput('BiasAddGrad', [float, nhwc], [inputs.x])
      : undefined,
  );
  const reluGradient = registerKernel(backendName, 'ReluGrad', ({ dy, y }) =>
    backend.executeSingleOutput('ReluGrad', [float], [dy, y]),
  );
  return { reluGradient: (dy, y) => reluGradient({ dy, y })[0] };
}
