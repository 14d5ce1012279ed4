import { tf } from '../tf/deferred.js';
import type { Tensor2D } from '../tf/index.js';
import type { CentroidSource } from '../pedcc/source.js';
import { fromHost } from '../backend/host-values.js';
import { labelTensor } from './inputs.js';
import type { Targets } from './loss.js';

/** The centroids of a run, which may be made row by row. */
export function sourceTargets(centroids: CentroidSource): Targets {
  const { classes, dim, wholeBases } = centroids;
  return {
    classes,
    dim,
    wholeBases,
    own: (labels) => fromHost(() => ({ values: centroids.rows(labels), shape: [labels.length, dim] })),
    block: (start, end) => centroids.block(start, end),
  };
}

/** All centroids as one tensor [k, d], to be disposed of. */
export function matrixOf({ classes, dim, block }: Targets): Tensor2D {
  return tf.keep(tf.tensor2d(block(0, classes), [classes, dim]));
}

/** The rows of a tensor [k, d]. */
export function matrixTargets(centroids: Tensor2D): Targets {
  const [classes, dim] = centroids.shape;
  return {
    classes,
    dim,
    wholeBases: 0,
    own: (labels) => tf.gather(centroids, labelTensor(labels)),
    block: (start, end) => tf.slice(centroids, [start, 0], [end - start, -1]).dataSync<'float32'>(),
  };
}
