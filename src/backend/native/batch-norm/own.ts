import * as tf from '../../../tf/index.js';
import type { Activation } from '../../activation.js';
import type { BatchNormOperations, Normalised } from '../../batch-norm.js';
import { registerKernel, type RunKernel } from '../../kernels.js';
import { Attributes, backendName, type NodeBackend } from '../node-backend.js';

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

/**
 * Batch norm in operations that `operations/batch-norm.cc` adds to TensorFlow on a CPU, with the residual and the ReLU in
 * them. Statistics are one tensor [2, channels]: mean and 1 / sqrt(variance + epsilon). Halves and whole give equal bits.
 */
export function ownBatchNorm(backend: NodeBackend): BatchNormOperations {
  const operations = defineOperations(backend);
  return {
    // Elsewhere whether the ReLU is open is computed from x again.
    readsOutput: ({ residual, activation }) => residual !== undefined && activation === 'relu',

    sums: (x) => doublesOf(operations.sums({ x })[0]),

    normalise({ epsilon, activation, x, gamma, beta, residual }, { means, variances }) {
      const rounded = Math.fround(epsilon);
      const inverses = variances.map((variance) => 1 / Math.sqrt(variance + rounded));
      const statistics = rows(means, inverses);
      const inputs = { x, gamma, beta, statistics, ...(residual && { residual }) };
      return { y: operations.normalise(inputs, { activation })[0], statistics: [statistics] };
    },

    gradientSums(dy, call) {
      const [sums, g] = operations.gradientSums(gradientInputs(dy, call), { activation: call.activation });
      return { sums: doublesOf(sums), g };
    },

    gradient(dy, averages, { x, gamma, beta, statistics: [statistics], activation }) {
      const channels = averages.length / 2;
      const both = rows(averages.subarray(0, channels), averages.subarray(channels));
      return operations.gradient({ dy, x, gamma, beta, statistics, averages: both }, { activation })[0];
    },

    whole: {
      normalise({ epsilon, activation, x, gamma, beta, residual }) {
        const inputs = { x, gamma, beta, ...(residual && { residual }) };
        const [y, statistics, moments] = operations.whole(inputs, { activation, epsilon });
        return { y, statistics: [statistics], moments: [moments] };
      },
      gradient(dy, call) {
        const { activation } = call;
        const [dx, dgamma, dbeta, g] = operations.wholeGradient(gradientInputs(dy, call), { activation });
        return { dx, dgamma, dbeta, g };
      },
    },
  };
}

function gradientInputs(dy: tf.Tensor, call: Normalised): tf.NamedTensorMap {
  const { x, gamma, beta, statistics, y } = call;
  return { dy, x, gamma, beta, statistics: statistics[0], ...(y && { y }) };
}

function defineOperations(backend: NodeBackend) {
  const attributes = new Attributes(backend.binding);

  const define = (operation: Operation): RunKernel => {
    const { name, inputs: names, optional, outputs, answers } = operation;
    const known = new Map<string, ReturnType<typeof describe>>();
    return registerKernel(backendName, name, (inputs, attrs) => {
      const last = optional === undefined ? undefined : (inputs as Partial<typeof inputs>)[optional];
      const { activation, epsilon } = attrs as { activation?: Activation; epsilon?: number };
      const key = `${activation} ${epsilon} ${last !== undefined}`;
      let described = known.get(key);
      if (!described) known.set(key, (described = describe(operation, activation, epsilon, last ? 1 : 0)));
      const tensors = names.map((input) => inputs[input]);
      if (last) tensors.push(last);
      const count = outputs + (answers && last ? 1 : 0);
      return backend.executeMultipleOutputs(name, described, tensors, count);
    });
  };

  const describe = (
    { attributes: wanted, optional }: Operation,
    activation: Activation | undefined,
    epsilon: number | undefined,
    count: number,
  ) => [
    ...(wanted.includes('relu') ? [attributes.flag('relu', activation === 'relu')] : []),
    ...(wanted.includes('epsilon') ? [attributes.number('epsilon', epsilon as number)] : []),
    ...(optional === undefined ? [] : [attributes.integers('N', count)]),
  ];

  return {
    sums: define({ name: 'PodDistChannelSums', inputs: ['x'], outputs: 1, attributes: [] }),
    normalise: define({
      name: 'PodDistNormalise',
      inputs: normalised,
      optional: 'residual',
      outputs: 1,
      attributes: ['relu'],
    }),
    gradientSums: define({
      name: 'PodDistNormaliseSums',
      inputs: gradient,
      optional: 'y',
      outputs: 1,
      answers: true,
      attributes: ['relu'],
    }),
    gradient: define({
      name: 'PodDistNormaliseGradient',
      inputs: [...gradient, 'averages'],
      outputs: 1,
      attributes: ['relu'],
    }),
    whole: define({
      name: 'PodDistBatchNorm',
      inputs: ['x', 'gamma', 'beta'],
      optional: 'residual',
      outputs: 3,
      attributes: ['relu', 'epsilon'],
    }),
    wholeGradient: define({
      name: 'PodDistBatchNormGradient',
      inputs: gradient,
      optional: 'y',
      outputs: 3,
      answers: true,
      attributes: ['relu'],
    }),
  };
}

/** Float64 numbers in a float32 tensor of the same bytes. */
function doublesOf(tensor: tf.Tensor): Float64Array {
  const floats = tensor.dataSync<'float32'>();
  return new Float64Array(floats.buffer, floats.byteOffset, floats.length / 2);
}

/** A float32 tensor [2, channels]. */
function rows(first: Float64Array, second: Float64Array): tf.Tensor2D {
  const values = new Float32Array(2 * first.length);
  values.set(first);
  values.set(second, first.length);
  return tf.tensor2d(values, [2, first.length]);
}
