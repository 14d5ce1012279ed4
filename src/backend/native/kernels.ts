import * as tf from '@tensorflow/tfjs';
import { trainingKernels } from '../kernel-names.js';
import { Attributes, type NodeBackend } from './node-backend.js';

const backendName = 'tensorflow';

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

  const shipped = tf.getKernel('Sum', backendName);
  /** A sum over all axes but the last is a bias gradient, for which TensorFlow has a faster operation. */
  tf.unregisterKernel('Sum', backendName);
  tf.registerKernel({
    ...shipped,
    kernelFunc: (call) => {
      const { x } = call.inputs as { x: tf.Tensor };
      const { axis, keepDims } = call.attrs as { axis: number | number[]; keepDims?: boolean };
      const axes = tf.util.parseAxisParam(axis, x.shape);
      const allButLast =
        x.rank > 1 && axes.length === x.rank - 1 && axes.every((value) => value < x.rank - 1);
      if (!allButLast || keepDims || x.dtype !== 'float32' || x.size === 0) return shipped.kernelFunc(call);
      return backend.executeSingleOutput('BiasAddGrad', [float, nhwc], [x]);
    },
  });
}

function register(
  kernelName: string,
  compute: (inputs: tf.NamedTensorMap, attributes: tf.NamedAttrMap) => tf.Tensor | tf.Tensor[],
): void {
  const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) => compute(inputs as tf.NamedTensorMap, attrs ?? {});
  tf.registerKernel({ kernelName, backendName, kernelFunc });
}
