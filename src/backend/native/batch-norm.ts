import * as tf from '@tensorflow/tfjs';
import { trainingKernels } from '../kernel-names.js';
import { Attributes, backendName, type NodeBackend } from './node-backend.js';

/** Registers the passes of batch norm over several ranks, operations that `operations/batch-norm.cc` adds to TensorFlow. */
export function registerBatchNormPasses(backend: NodeBackend): void {
  const attributes = new Attributes(backend.binding);
  const given = new Map([true, false].map((relu) => [relu, [attributes.flag('relu', relu)]]));

  const register = (kernelName: string, operation: string, names: readonly string[], activated: boolean) => {
    const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) => {
      const relu = (attrs as { activation?: string } | undefined)?.activation === 'relu';
      return backend.executeSingleOutput(
        operation,
        activated ? (given.get(relu) ?? []) : [],
        names.map((name) => inputs[name] as tf.TensorInfo),
      );
    };
    tf.registerKernel({ kernelName, backendName, kernelFunc });
  };

  const normalised = ['x', 'gamma', 'beta', 'statistics'];
  register(trainingKernels.channelSums, 'PodDistChannelSums', ['x'], false);
  register(trainingKernels.normalise, 'PodDistNormalise', normalised, true);
  register(trainingKernels.normaliseSums, 'PodDistNormaliseSums', ['dy', ...normalised], true);
  register(
    trainingKernels.normaliseGradient,
    'PodDistNormaliseGradient',
    ['dy', ...normalised, 'averages'],
    true,
  );
}
