import type {
  BatchNormCall,
  BatchNormOperations,
  Moments,
  Normalised,
} from '../../src/backend/batch-norm.js';
import { onHost } from '../../src/backend/host-values.js';
import type * as tf from '../../src/tf/index.js';

const valuesOf = (tensors: readonly tf.Tensor[]) => tensors.map((tensor) => tensor.dataSync<'float32'>());

/** A backend's batch norm in halves: sums for the host to reduce, and operations that take the reduced sums. */
export function halvesOf(operations: BatchNormOperations) {
  return {
    sums(x: tf.Tensor): Float64Array {
      return operations.readSums(valuesOf(operations.sums(x)), x.size / x.shape[x.rank - 1]);
    },
    normalise(call: BatchNormCall, moments: Moments): { y: tf.Tensor; statistics: tf.Tensor[] } {
      const statistics = onHost([], () => operations.statistics(moments, call.epsilon));
      return { y: operations.normalise(call, statistics), statistics };
    },
    gradientSums(dy: tf.Tensor, normalised: Normalised): { sums: Float64Array; g?: tf.Tensor } {
      const { sums, g } = operations.gradientSums(dy, normalised);
      return { sums: operations.readGradientSums(valuesOf(sums)), g };
    },
    gradient(dy: tf.Tensor, averages: Float64Array, normalised: Normalised): tf.Tensor {
      return operations.gradient(
        dy,
        onHost([], () => operations.averages(averages)),
        normalised,
      );
    },
  };
}
