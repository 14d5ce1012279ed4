import * as tf from '@tensorflow/tfjs';
import type { Communicator } from '../../collective/communicator.js';
import type { LossConfig } from '../../config/schema.js';
import { globalGradient, localTerms, normSum, selfCorrelationValue } from '../../loss/index.js';
import type { CentroidSource } from '../../pedcc/source.js';
import { batchOf, summed, type LossValues, type Objective, type Shard } from './objective.js';

interface ObjectiveOptions {
  communicator: Communicator;
  config: Extract<LossConfig, { name: 'pod' }>;
  centroids: CentroidSource;
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
 *
 * With `sc: local` each rank takes C from its own b rows instead, and SC is the mean of the ranks' own, weighted with
 * b / B: what averaging the ranks' losses gives, which depends on the number of workers.
 *
 * A step reads the centroids of its own images alone, and for delta those beyond the last whole basis.
 */
export class PodObjective implements Objective {
  /** Centroids whose logits delta's norm needs one by one, [rest, d]. */
  private readonly rest: tf.Tensor2D;
  private readonly dim: number;

  constructor(private readonly options: ObjectiveOptions) {
    const { centroids, config } = options;
    this.dim = centroids.dim;
    const needed = config.delta.source === 'logits' ? centroids.beyondBases() : new Float32Array(0);
    this.rest = tf.keep(tf.tensor2d(needed, [needed.length / this.dim, this.dim]));
  }

  apply(
    features: tf.Tensor2D,
    shard: Shard,
    delta: number,
    onValues: (values: LossValues) => void,
  ): tf.Scalar {
    const { config, centroids } = this.options;
    const batch = batchOf(shard);
    const present = shard.labels.length > 0;
    const operation = tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
      const [z, save] = inputs as [tf.Tensor2D, tf.GradSaveFunc];
      const rows = present ? centroids.rows(shard.labels) : new Float32Array(this.dim);
      const own = tf.tensor2d(rows, [rows.length / this.dim, this.dim]);
      const { nacSum, residuals } = localTerms(z, own, delta);
      const { nac, sc, lambda, correlation, correlationRows } = this.reduce(nacSum, residuals, shard, batch);
      const loss = nac + config.lambda * sc;
      onValues({ loss, parts: { nac, sc }, normSum: present ? this.normSum(z) : 0 });
      save(correlation ? [z, own, correlation] : [z, own]);
      const gradFunc = (_dy: tf.Scalar, saved: tf.Tensor[]) => {
        const [features, own, correlation] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D | undefined];
        if (!present) return tf.zerosLike(features);
        return globalGradient({ features, own, delta, lambda, batch, correlation, correlationRows });
      };
      return { value: tf.scalar(loss), gradFunc };
    });
    return operation(features);
  }

  dispose(): void {
    this.rest.dispose();
  }

  private normSum(features: tf.Tensor2D): number {
    const { config, centroids } = this.options;
    return normSum(features, this.rest, config.delta.source, centroids.wholeBases).dataSync()[0];
  }

  private reduce(nacSum: tf.Scalar, residuals: tf.Tensor2D, shard: Shard, batch: number): Reduced {
    const rows = shard.labels.length;
    const ownNac = rows > 0 ? nacSum.dataSync()[0] : 0;
    const { communicator, config } = this.options;
    const { lambda, sc } = config;
    if (sc === 'off' || lambda === 0 || batch < 2) {
      const [sum] = summed(communicator, ownNac);
      return { nac: sum / batch, sc: 0, lambda: 0 };
    }
    if (sc === 'local') {
      const correlation =
        rows > 1 ? tf.div<tf.Tensor2D>(tf.matMul(residuals, residuals, true, false), rows - 1) : undefined;
      const share = rows / batch;
      const own = correlation ? share * selfCorrelationValue(correlation, this.dim).dataSync()[0] : 0;
      const [sum, scMean] = summed(communicator, ownNac, own);
      return { nac: sum / batch, sc: scMean, lambda: lambda * share, correlation, correlationRows: rows };
    }
    const reduced =
      batch < this.dim
        ? this.gatherResiduals(ownNac, residuals, shard)
        : this.reduceGram(ownNac, residuals, shard);
    const correlation = tf.div<tf.Tensor2D>(reduced.gram, batch - 1);
    return {
      nac: reduced.nacSum / batch,
      sc: selfCorrelationValue(correlation, this.dim).dataSync()[0],
      lambda,
      correlation,
    };
  }

  private gatherResiduals(ownNac: number, residuals: tf.Tensor2D, { labels, counts }: Shard) {
    const { dim } = this;
    const { communicator } = this.options;
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
    const { dim } = this;
    const { communicator } = this.options;
    const packed = new Float32Array((dim * (dim + 1)) / 2 + 1);
    if (labels.length > 0) packUpper(tf.matMul(residuals, residuals, true, false).dataSync(), dim, packed);
    packed[packed.length - 1] = ownNac;
    communicator.allReduceSync(packed, { tag: 'gram' });
    return { nacSum: packed[packed.length - 1], gram: tf.tensor2d(unpackUpper(packed, dim), [dim, dim]) };
  }
}

interface Reduced {
  nac: number;
  sc: number;
  /** Weight of the gradient of SC on this rank. */
  lambda: number;
  correlation?: tf.Tensor2D;
  /** Rows that it was taken over; default: the global batch. */
  correlationRows?: number;
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
