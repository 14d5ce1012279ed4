import * as tf from '../../tf/index.js';
import { trainingKernels } from '../kernel-names.js';
import { isBiasGradient, replaceWhere } from '../replace-kernel.js';
import { registerConvolutions } from './convolutions.js';
import { Attributes, backendName, type NodeBackend } from './node-backend.js';

/** Registers TensorFlow's own fused training operations, which the npm package leaves out. */
export function registerFusedKernels(backend: NodeBackend): void {
  const attributes = new Attributes(backend.binding);
  const float = attributes.float32();
  const nothing = tf.keep(tf.tensor1d([]));
  const nhwc = attributes.text('data_format', 'NHWC');
  const average = attributes.number('exponential_avg_factor', 1);
  const batchNorm = (epsilon: unknown, training: boolean) => [
    float,
    attributes.float32('U'),
    attributes.number('epsilon', epsilon as number),
    nhwc,
    attributes.flag('is_training', training),
  ];

  register(trainingKernels.reluGradient, ({ dy, y }) =>
    backend.executeSingleOutput('ReluGrad', [float], [dy, y]),
  );

  register(trainingKernels.batchNorm, ({ x, gamma, beta }, { epsilon }) =>
    backend.executeMultipleOutputs(
      'FusedBatchNormV3',
      [...batchNorm(epsilon, true), average],
      [x, gamma, beta, nothing, nothing],
      6,
    ),
  );

  const batchNormRelu = ({ x, gamma, beta }: tf.NamedTensorMap, { epsilon }: tf.NamedAttrMap) => {
    const relu = [attributes.text('activation_mode', 'Relu'), attributes.text('_kernel', 'MklNameChangeOp')];
    const [y, mean, variance, saved1, saved2, workspace] = backend.executeMultipleOutputs(
      '_MklNativeFusedBatchNormEx',
      [...batchNorm(epsilon, true), average, ...relu],
      [x, gamma, beta, nothing, nothing],
      6,
    );
    workspace.dispose();
    return [y, mean, variance, saved1, saved2, nothing.clone()];
  };
  if (!backend.isUsingGpuDevice && works(batchNormRelu))
    register(trainingKernels.batchNormRelu, batchNormRelu);

  register(trainingKernels.batchNormGradient, ({ dy, x, gamma, saved1, saved2, saved3 }, { epsilon }) => {
    const inputs = [dy, x, gamma, saved1, saved2, saved3];
    const outputs = backend.executeMultipleOutputs(
      'FusedBatchNormGradV3',
      batchNorm(epsilon, true),
      inputs,
      5,
    );
    tf.dispose(outputs.slice(3));
    return outputs.slice(0, 3);
  });

  register(trainingKernels.moments, ({ x }) => {
    const channels = x.shape[x.rank - 1];
    const count = x.size / channels;
    return tf.tidy(() => {
      const inputs = [x, tf.ones([channels]), tf.zeros([channels]), nothing, nothing];
      const [, mean, variance] = backend.executeMultipleOutputs(
        'FusedBatchNormV3',
        [...batchNorm(1e-3, true), average],
        inputs,
        6,
      );
      return [mean, tf.mul(variance, Math.max(count - 1, 1) / count)];
    });
  });

  register(trainingKernels.batchNormSums, ({ dy, x, gamma, mean, variance }, { epsilon }) => {
    const inputs = [dy, x, gamma, mean, variance, nothing];
    const outputs = backend.executeMultipleOutputs(
      'FusedBatchNormGradV3',
      batchNorm(epsilon, false),
      inputs,
      5,
    );
    const [scaled, sumDyXhat, sumDy] = outputs;
    tf.dispose(outputs.slice(3));
    return [sumDyXhat, sumDy, scaled];
  });

  registerConvolutions(backend);

  replaceWhere(backendName, 'Sum', (inputs, given) =>
    isBiasGradient(inputs, given) && tf.util.sizeFromShape(inputs.x.shape) > 0
      ? backend.executeSingleOutput('BiasAddGrad', [float, nhwc], [inputs.x])
      : undefined,
  );
}

type Compute = (inputs: tf.NamedTensorMap, attributes: tf.NamedAttrMap) => tf.Tensor | tf.Tensor[];

/** Whether this TensorFlow has oneDNN's batch norm with ReLU: [-1, 1] normalised and rectified is [0, 1]. */
function works(batchNormRelu: Compute): boolean {
  try {
    return tf.tidy(() => {
      const [x, gamma, beta] = [tf.tensor4d([-1, 1], [2, 1, 1, 1]), tf.ones([1]), tf.zeros([1])];
      const [y] = batchNormRelu({ x, gamma, beta }, { epsilon: 1e-5 }) as tf.Tensor[];
      const [low, high] = y.dataSync();
      return low === 0 && Math.abs(high - 1) < 1e-4;
    });
  } catch {
    return false;
  }
}

function register(kernelName: string, compute: Compute): void {
  const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) => compute(inputs as tf.NamedTensorMap, attrs ?? {});
  tf.registerKernel({ kernelName, backendName, kernelFunc });
}
