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
    const members = tf.cast(tf.oneHot(ids as tf.Tensor1D, numSegments), 'float32') as tf.Tensor2D;
    const rows: tf.Tensor2D = tf.reshape(tf.cast(x, 'float32'), [
      segmentIds.size,
      x.size / Math.max(segmentIds.size, 1),
    ]);
    return tf.reshape(tf.matMul(tf.transpose(members), rows), [numSegments, ...rest]);
  });
}
