import * as tf from '@tensorflow/tfjs';
import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import { globalGradient, localTerms, normSum, selfCorrelationValue } from '../loss/index.js';

/** POD Loss of one global batch. The losses are equal on every rank. */
export interface LossValues {
  loss: number;
  nac: number;
  sc: number;
  /** Sum over this rank's images of the norm that delta's schedule follows. */
  normSum: number;
}

interface ObjectiveOptions {
  communicator: Communicator;
  config: Config['loss'];
  /** Row-major [classes, dim], unit rows. */
  centroids: Float32Array;
  classes: number;
  dim: number;
}

/** One rank's rows of the global batch. */
export interface Shard {
  /** Classes of this rank's images; empty where it holds none. */
  labels: Int32Array;
  /** Images of every rank, by rank. */
  counts: readonly number[];
}

/**
 * POD Loss of the batch over all ranks, and its gradient with respect to this rank's features.
 *
 * NAC is a mean over images: each rank adds its sum, divided by the global batch B. SC is quadratic in the
 * correlation C = sum u u^T / (B - 1) of the whole batch, so C itself is made global, in the middle of the gradient
 * tape, by the cheaper of two exact ways:
 *
 *     B < d   all-gather the residuals u: B d numbers, then C on every rank as one rank would compute it
 *     B >= d  all-reduce the Gram matrices' upper triangles: d (d + 1) / 2 numbers
 *
 * One further number a rank carries its NAC sum in the same message. Every rank then knows C and the loss, and its
 * own rows' gradient follows from C alone; summing parameter gradients over the ranks gives the gradient of the
 * global loss.
 */
export class PodObjective {
  private readonly centroids: tf.Tensor2D;

  constructor(private readonly options: ObjectiveOptions) {
    const { centroids, classes, dim } = options;
    this.centroids = tf.keep(tf.tensor2d(centroids, [classes, dim]));
  }

  /**
   * A scalar to differentiate. `features` is [b, d], with b = max(images on this rank, 1): a rank without images
   * passes one placeholder row, which counts for nothing. `onValues` is told the global loss.
   */
  apply(
    features: tf.Tensor2D,
    shard: Shard,
    delta: number,
    onValues: (values: LossValues) => void,
  ): tf.Scalar {
    const { dim, config } = this.options;
    const batch = shard.counts.reduce((sum, count) => sum + count, 0);
    const operation = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
      const [z, save] = inputs as [tf.Tensor2D, tf.GradSaveFunc];
      const own = this.ownCentroids(shard.labels);
      const { nacSum, residuals } = localTerms(z, own, delta);
      const { nac, correlation } = this.reduce(nacSum, residuals, shard, batch);
      const sc = correlation ? selfCorrelationValue(correlation, dim).dataSync()[0] : 0;
      const loss = nac + config.lambda * sc;
      onValues({ loss, nac, sc, normSum: shard.labels.length > 0 ? this.normSum(z) : 0 });
      save(correlation ? [z, own, correlation] : [z, own]);
      const gradFunc = (_dy: tf.Scalar, saved: tf.Tensor[]) => {
        const [features, own, correlation] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D | undefined];
        if (shard.labels.length === 0) return tf.zerosLike(features);
        return globalGradient({ features, own, delta, lambda: config.lambda, batch, correlation });
      };
      return { value: tf.scalar(loss), gradFunc };
    });
    return operation(features);
  }

  dispose(): void {
    this.centroids.dispose();
  }

  private normSum(features: tf.Tensor2D): number {
    return normSum(features, this.centroids, this.options.config.delta.source).dataSync()[0];
  }

  private ownCentroids(labels: Int32Array): tf.Tensor2D {
    const { centroids, dim } = this.options;
    const rows = new Float32Array(Math.max(labels.length, 1) * dim);
    labels.forEach((label, row) => rows.set(centroids.subarray(label * dim, (label + 1) * dim), row * dim));
    return tf.tensor2d(rows, [rows.length / dim, dim]);
  }

  private reduce(nacSum: tf.Scalar, residuals: tf.Tensor2D, shard: Shard, batch: number) {
    const ownNac = shard.labels.length > 0 ? nacSum.dataSync()[0] : 0;
    const { dim, config } = this.options;
    const wanted = config.lambda > 0 && batch > 1;
    if (!wanted) {
      const sum = Float64Array.of(ownNac);
      this.options.communicator.allReduceSync(sum, { tag: 'loss' });
      return { nac: sum[0] / batch, correlation: undefined };
    }
    const reduced =
      batch < dim
        ? this.gatherResiduals(ownNac, residuals, shard)
        : this.reduceGram(ownNac, residuals, shard);
    return { nac: reduced.nacSum / batch, correlation: tf.div(reduced.gram, batch - 1) as tf.Tensor2D };
  }

  private gatherResiduals(ownNac: number, residuals: tf.Tensor2D, { labels, counts }: Shard) {
    const { communicator, dim } = this.options;
    const offsets = [0];
    for (const count of counts) offsets.push(offsets[offsets.length - 1] + 1 + count * dim);
    const parts = new Float32Array(offsets[counts.length]);
    const start = offsets[communicator.rank];
    parts[start] = ownNac;
    if (labels.length > 0) parts.set(residuals.dataSync(), start + 1);
    communicator.allGatherSync(parts, { offsets, tag: 'residuals' });

    let nacSum = 0;
    const rows = new Float32Array(parts.length - counts.length);
    counts.forEach((_, rank) => {
      nacSum += parts[offsets[rank]];
      rows.set(parts.subarray(offsets[rank] + 1, offsets[rank + 1]), offsets[rank] - rank);
    });
    const all = tf.tensor2d(rows, [rows.length / dim, dim]);
    return { nacSum, gram: tf.matMul(all, all, true, false) };
  }

  private reduceGram(ownNac: number, residuals: tf.Tensor2D, { labels }: Shard) {
    const { communicator, dim } = this.options;
    const packed = new Float32Array((dim * (dim + 1)) / 2 + 1);
    if (labels.length > 0) packUpper(tf.matMul(residuals, residuals, true, false).dataSync(), dim, packed);
    packed[packed.length - 1] = ownNac;
    communicator.allReduceSync(packed, { tag: 'gram' });
    return { nacSum: packed[packed.length - 1], gram: tf.tensor2d(unpackUpper(packed, dim), [dim, dim]) };
  }
}

function packUpper(matrix: ArrayLike<number>, dim: number, packed: Float32Array): void {
  let next = 0;
  for (let row = 0; row < dim; row++) {
    for (let column = row; column < dim; column++) packed[next++] = matrix[row * dim + column];
  }
}

function unpackUpper(packed: Float32Array, dim: number): Float32Array {
  const matrix = new Float32Array(dim * dim);
  let next = 0;
  for (let row = 0; row < dim; row++) {
    for (let column = row; column < dim; column++) {
      matrix[row * dim + column] = matrix[column * dim + row] = packed[next++];
    }
  }
  return matrix;
}
