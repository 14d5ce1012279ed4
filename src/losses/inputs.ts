import { tf } from '../tf/deferred.js';
import type { Tensor1D, Tensor2D } from '../tf/index.js';
import { fromHost } from '../backend/host-values.js';
import { UserError } from '../util/errors.js';

/** The classes of a batch's images, [labels], for a pass. */
export function labelTensor(labels: Int32Array): Tensor1D {
  return fromHost(() => ({ values: labels, shape: [labels.length] }), 'int32');
}

/** Class of each row: an int32 tensor [B] or plain numbers. */
export type Labels = Tensor1D | Int32Array | readonly number[];

/**
 * The labels [B], checked against features [B, d] and centroids [k, d].
 *
 * @throws UserError `SHAPE_MISMATCH` or `LABEL_OUT_OF_RANGE`
 */
export function checkLabels(features: Tensor2D, centroids: Tensor2D, labels: Labels): Int32Array {
  const [batch, dim] = features.shape;
  const [classes, centroidDim] = centroids.shape;
  if (features.rank !== 2 || centroids.rank !== 2 || dim !== centroidDim) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `features [${features.shape.join(', ')}] and centroids [${centroids.shape.join(', ')}] must be [B, d] and [k, d]`,
    );
  }
  const values = labels instanceof tf.Tensor ? labels.dataSync() : labels;
  if (values.length !== batch) {
    throw new UserError(
      'SHAPE_MISMATCH',
      `${values.length} labels for ${batch} rows of features: give one a row`,
    );
  }
  for (let row = 0; row < values.length; row++) {
    const label = values[row];
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new UserError(
        'LABEL_OUT_OF_RANGE',
        `label ${label} of row ${row} is not a class: classes are 0 to ${classes - 1}`,
      );
    }
  }
  return Int32Array.from(values);
}
