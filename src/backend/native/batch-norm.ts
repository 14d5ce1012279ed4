import * as tf from '../../tf/index.js';
import { trainingKernels } from '../kernel-names.js';
import { Attributes, backendName, type NodeBackend } from './node-backend.js';

interface Operation {
  name: string;
  inputs: readonly string[];
  /** Name of an input that may be missing; the last. */
  optional?: string;
  /** Outputs, beside one more where the optional input is given and `answers`. */
  outputs: number;
  answers?: boolean;
  /** Attributes that it has. */
  attributes: readonly ('relu' | 'epsilon')[];
}

const normalised = ['x', 'gamma', 'beta', 'statistics'];
const gradient = ['dy', ...normalised];

/** Operations that `operations/batch-norm.cc` adds to TensorFlow, by the names of their kernels. */
const operations: Readonly<Record<string, Operation>> = {
  [trainingKernels.channelSums]: { name: 'PodDistChannelSums', inputs: ['x'], outputs: 1, attributes: [] },
  [trainingKernels.normalise]: {
    name: 'PodDistNormalise',
    inputs: normalised,
    optional: 'residual',
    outputs: 1,
    attributes: ['relu'],
  },
  [trainingKernels.normaliseSums]: {
    name: 'PodDistNormaliseSums',
    inputs: gradient,
    optional: 'y',
    outputs: 1,
    answers: true,
    attributes: ['relu'],
  },
  [trainingKernels.normaliseGradient]: {
    name: 'PodDistNormaliseGradient',
    inputs: [...gradient, 'averages'],
    outputs: 1,
    attributes: ['relu'],
  },
  [trainingKernels.wholeNormalise]: {
    name: 'PodDistBatchNorm',
    inputs: ['x', 'gamma', 'beta'],
    optional: 'residual',
    outputs: 3,
    attributes: ['relu', 'epsilon'],
  },
  [trainingKernels.wholeNormaliseGradient]: {
    name: 'PodDistBatchNormGradient',
    inputs: gradient,
    optional: 'y',
    outputs: 3,
    answers: true,
    attributes: ['relu'],
  },
};

/** Registers the passes of batch norm, whole and in halves. */
export function registerBatchNormPasses(backend: NodeBackend): void {
  const attributes = new Attributes(backend.binding);
  for (const [kernelName, operation] of Object.entries(operations)) {
    const { name, inputs: names, optional, outputs, answers } = operation;
    const known = new Map<string, ReturnType<typeof describe>>();
    const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) => {
      const given = inputs as Partial<tf.NamedTensorInfoMap>;
      const last = optional === undefined ? undefined : given[optional];
      const { activation, epsilon } = (attrs ?? {}) as { activation?: string; epsilon?: number };
      const key = `${activation} ${epsilon} ${last !== undefined}`;
      let described = known.get(key);
      if (!described) known.set(key, (described = describe(operation, activation, epsilon, last ? 1 : 0)));
      const tensors = names.map((input) => given[input] as tf.TensorInfo);
      if (last) tensors.push(last);
      const count = outputs + (answers && last ? 1 : 0);
      return backend.executeMultipleOutputs(name, described, tensors, count);
    };
    tf.registerKernel({ kernelName, backendName, kernelFunc });
  }

  function describe(
    { attributes: wanted, optional }: Operation,
    activation: string | undefined,
    epsilon: number | undefined,
    count: number,
  ) {
    return [
      ...(wanted.includes('relu') ? [attributes.flag('relu', activation === 'relu')] : []),
      ...(wanted.includes('epsilon') ? [attributes.number('epsilon', epsilon as number)] : []),
      ...(optional === undefined ? [] : [attributes.integers('N', count)]),
    ];
  }
}
