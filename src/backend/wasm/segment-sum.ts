import * as tf from '@tensorflow/tfjs';

interface Inputs {
  x: tf.Tensor;
  segmentIds: tf.Tensor;
}

/** Sums of the slices of `x` with equal segment ids, as a product with the one-hot matrix of the ids. */
export function unsortedSegmentSum(
  { x, segmentIds }: Inputs,
  { numSegments }: { numSegments: number },
): tf.Tensor {
  return tf.tidy(() => {
    const ids = tf.reshape(segmentIds, [segmentIds.size]);
    const rest = x.shape.slice(segmentIds.rank);
    // tfjs makes no one-hot matrix of a single column.
    const columns = Math.max(numSegments, 2);
    const members = tf.cast(tf.oneHot(ids as tf.Tensor1D, columns), 'float32') as tf.Tensor2D;
    const rows: tf.Tensor2D = tf.reshape(tf.cast(x, 'float32'), [
      segmentIds.size,
      x.size / Math.max(segmentIds.size, 1),
    ]);
    const sums = tf.matMul(tf.transpose(members), rows);
    return tf.reshape(tf.slice(sums, 0, numSegments), [numSegments, ...rest]);
  });
}
