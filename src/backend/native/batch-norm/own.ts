import type * as tf from '../../../tf/index.js';
import type { Activation } from '../../activation.js';
import type { BatchNormOperations, Normalised } from '../../batch-norm.js';
import { doublesIn } from '../../composed-batch-norm.js';
import type { HostTensor } from '../../host-values.js';
import { registerKernel, type RunKernel } from '../../kernels.js';
import { precisionNow, type Precision } from '../../precision.js';
import { Bfloat16, bfloat16 } from '../bfloat16.js';
import { Attributes, backendName, type NodeBackend } from '../node-backend.js';

interface Operation {
  name: string;
  inputs: readonly string[];
  /** Name of an input that may be missing; the last. */
  optional?: string;
  /** Number of outputs; with `answers`, one more if the optional input is given. */
  outputs: number;
  answers?: boolean;
  /** Attributes that it has. */
  attributes: readonly ('relu' | 'epsilon')[];
}

interface Settings {
  activation?: Activation;
  epsilon?: number;
  /** Optional inputs that are given. */
  count: number;
  precision: Precision;
}

/** Inputs that are rounded in bfloat16, as the results of their shape are; everything else is float32. */
const images = new Set(['dy', 'x', 'y', 'residual']);
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

    sums: (x) => operations.sums({ x }),
    readSums: ([floats]) => doublesIn(floats),

    statistics({ means, variances }, epsilon) {
      const rounded = Math.fround(epsilon);
      return [
        rows(
          means,
          variances.map((variance) => 1 / Math.sqrt(variance + rounded)),
        ),
      ];
    },
    normalise({ activation, x, gamma, beta, residual }, [statistics]) {
      const inputs = { x, gamma, beta, statistics, ...(residual && { residual }) };
      return operations.normalise(inputs, { activation })[0];
    },

    gradientSums(dy, call) {
      const [sums, g] = operations.gradientSums(gradientInputs(dy, call), { activation: call.activation });
      return { sums: [sums], g };
    },
    readGradientSums: ([floats]) => doublesIn(floats),

    averages(averages) {
      const channels = averages.length / 2;
      return [rows(averages.subarray(0, channels), averages.subarray(channels))];
    },
    gradient(dy, [averages], { x, gamma, beta, statistics: [statistics], activation }) {
      return operations.gradient({ dy, x, gamma, beta, statistics, averages }, { activation })[0];
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
  const narrow = new Bfloat16(backend);

  const define = (operation: Operation): RunKernel => {
    const { name, inputs: names, optional, outputs, answers } = operation;
    const known = new Map<string, ReturnType<typeof describe>>();
    return registerKernel(backendName, name, (inputs, attrs) => {
      const last = optional === undefined ? undefined : (inputs as Partial<typeof inputs>)[optional];
      const { activation, epsilon } = attrs as { activation?: Activation; epsilon?: number };
      const precision = precisionNow();
      const key = `${activation} ${epsilon} ${last !== undefined} ${precision}`;
      let described = known.get(key);
      if (!described) {
        const settings = { activation, epsilon, count: last ? 1 : 0, precision };
        known.set(key, (described = describe(operation, settings)));
      }
      const given = last ? [...names, optional as string] : names;
      const count = outputs + (answers && last ? 1 : 0);
      if (precision === 'float32') {
        const tensors = given.map((input) => inputs[input]);
        return backend.executeMultipleOutputs(name, described, tensors, count);
      }
      return narrow.run((operations) => {
        const ids = given.map((input) =>
          images.has(input) ? operations.narrow(inputs[input]) : operations.plain(inputs[input]),
        );
        return operations.execute(name, described, ids, count).map((result) => operations.tensor(result));
      });
    });
  };

  const describe = (
    { attributes: wanted, optional }: Operation,
    { activation, epsilon, count, precision }: Settings,
  ) => [
    ...(wanted.includes('relu') ? [attributes.flag('relu', activation === 'relu')] : []),
    ...(wanted.includes('epsilon') ? [attributes.number('epsilon', epsilon as number)] : []),
    ...(optional === undefined ? [] : [attributes.integers('N', count)]),
    ...(precision === 'bf16' ? [attributes.type('T', bfloat16)] : []),
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

/** [2, channels] */
function rows(first: Float64Array, second: Float64Array): HostTensor {
  const values = new Float32Array(2 * first.length);
  values.set(first);
  values.set(second, first.length);
  return { values, shape: [2, first.length] };
}
