import * as tf from '../../../tf/index.js';
import type { BatchNormOperations } from '../../batch-norm.js';
import { composedBatchNorm, finish, throughActivation } from '../../composed-batch-norm.js';
import { registerKernel, type Inputs } from '../../kernels.js';
import { Attributes, backendName, type NodeBackend } from '../node-backend.js';

/**
 * Batch norm in TensorFlow's own fused operations, which the npm package leaves out: on a GPU, and where set-up could not
 * compile operations of ours.
 */
export function fusedBatchNorm(backend: NodeBackend): BatchNormOperations {
  const attributes = new Attributes(backend.binding);
  const nothing = tf.keep(tf.tensor1d([]));
  const settings = (epsilon: unknown, training: boolean) => [
    attributes.float32(),
    attributes.float32('U'),
    attributes.number('epsilon', epsilon as number),
    attributes.text('data_format', 'NHWC'),
    attributes.flag('is_training', training),
  ];
  const average = attributes.number('exponential_avg_factor', 1);
  const relu = [attributes.text('activation_mode', 'Relu'), attributes.text('_kernel', 'MklNameChangeOp')];

  const forward = registerKernel(backendName, 'FusedBatchNormV3', ({ x, gamma, beta }, { epsilon }) =>
    backend.executeMultipleOutputs(
      'FusedBatchNormV3',
      [...settings(epsilon, true), average],
      [x, gamma, beta, nothing, nothing],
      6,
    ),
  );

  const gradient = registerKernel(
    backendName,
    'FusedBatchNormGradV3',
    ({ dy, x, gamma, saved1, saved2, saved3 = nothing }: Inputs, { epsilon, training }) =>
      backend.executeMultipleOutputs(
        'FusedBatchNormGradV3',
        settings(epsilon, training as boolean),
        [dy, x, gamma, saved1, saved2, saved3],
        5,
      ),
  );

  const forwardRelu = registerKernel(
    backendName,
    '_MklNativeFusedBatchNormEx',
    ({ x, gamma, beta }, { epsilon }) =>
      backend.executeMultipleOutputs(
        '_MklNativeFusedBatchNormEx',
        [...settings(epsilon, true), average, ...relu],
        [x, gamma, beta, nothing, nothing],
        6,
      ),
  );
  const hasRelu = !backend.isUsingGpuDevice && rectifies(forwardRelu);

  return {
    ...composedBatchNorm,

    sums(x) {
      const channels = x.shape[x.rank - 1];
      const count = x.size / channels;
      const inputs = { x, gamma: tf.ones([channels]), beta: tf.zeros([channels]) };
      const [, mean, variance] = forward(inputs, { epsilon: 1e-3 });
      return [mean, tf.mul(variance, Math.max(count - 1, 1) / count)];
    },

    gradientSums(dy, normalised) {
      const g = throughActivation(dy, normalised);
      const { x, gamma, statistics, epsilon } = normalised;
      const inputs = { dy: g ?? dy, x, gamma, saved1: statistics[0], saved2: statistics[1] };
      const [, sumGXhat, sumG] = gradient(inputs, { epsilon, training: false });
      return { sums: [sumG, sumGXhat], g };
    },

    whole: {
      normalise(call) {
        const { x, gamma, beta, residual, epsilon, activation } = call;
        const rectified = hasRelu && activation === 'relu' && !residual;
        const run = rectified ? forwardRelu : forward;
        const [y, mean, variance, ...saved] = run({ x, gamma, beta }, { epsilon });
        const statistics = rectified ? saved.slice(0, 2) : saved;
        return { y: rectified ? y : finish(y, call), statistics, moments: [mean, variance] };
      },
      gradient(dy, normalised) {
        const g = throughActivation(dy, normalised);
        const { x, gamma, statistics, epsilon } = normalised;
        const [saved1, saved2, saved3] = statistics;
        const inputs = { dy: g ?? dy, x, gamma, saved1, saved2, ...(saved3 && { saved3 }) };
        const [dx, dgamma, dbeta] = gradient(inputs, { epsilon, training: true });
        return { dx, dgamma, dbeta, g };
      },
    },
  };
}

/** Whether this TensorFlow has oneDNN's batch norm with ReLU: [-1, 1] normalised and rectified is [0, 1]. */
function rectifies(forwardRelu: ReturnType<typeof registerKernel>): boolean {
  try {
    return tf.tidy(() => {
      const inputs = { x: tf.tensor4d([-1, 1], [2, 1, 1, 1]), gamma: tf.ones([1]), beta: tf.zeros([1]) };
      const [y] = forwardRelu(inputs, { epsilon: 1e-5 });
      const [low, high] = y.dataSync();
      return low === 0 && Math.abs(high - 1) < 1e-4;
    });
  } catch {
    return false;
  }
}
