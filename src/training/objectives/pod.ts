import * as tf from '../../tf/index.js';
import type { Communicator } from '../../collective/communicator.js';
import type { LossConfig } from '../../config/schema.js';
import { pairwise } from '../../collective/pairwise.js';
import {
  globalGradient,
  localTerms,
  normSum,
  selfCorrelationValue,
  type LocalTerms,
} from '../../loss/index.js';
import { join } from '../../models/parts.js';
import type { CentroidSource } from '../../pedcc/source.js';
import { overShards, total } from './over-shards.js';
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
 * NAC sums travel in the same message: one number a rank, or a logical shard where residuals are gathered. Every rank
 * then knows C and the loss, and its own rows' gradient follows from C alone; summing parameter gradients over the ranks
 * gives the gradient of the global loss.
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
      const terms = overShards(shard, [z, own], ({ tensors: [z, own] }) => localTerms(z, own, delta));
      const { nac, sc, lambda, correlation, correlationRows } = this.reduce(terms, shard, batch);
      const loss = nac + config.lambda * sc;
      onValues({ loss, parts: { nac, sc }, normSums: this.normSums(z, shard) });
      save(correlation ? [z, own, correlation] : [z, own]);
      const gradFunc = (_dy: tf.Scalar, saved: tf.Tensor[]) => {
        const [z, own, correlation] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D | undefined];
        const gradients = overShards(shard, [z, own], ({ tensors: [features, own] }) =>
          globalGradient({ features, own, delta, lambda, batch, correlation, correlationRows }),
        );
        return join(gradients) ?? tf.zerosLike(z);
      };
      return { value: tf.scalar(loss), gradFunc };
    });
    return operation(features);
  }

  dispose(): void {
    this.rest.dispose();
  }

  private normSums(features: tf.Tensor2D, shard: Shard): number[] {
    const { config, centroids } = this.options;
    const { source } = config.delta;
    const sums = overShards(
      shard,
      [features],
      ({ tensors: [z] }) => normSum(z, this.rest, source, centroids.wholeBases).dataSync()[0],
    );
    return sums.map((sum) => sum ?? 0);
  }

  private reduce(terms: Terms, shard: Shard, batch: number): Reduced {
    const rows = shard.labels.length;
    const ownNac = terms.map((own) => own?.nacSum.dataSync()[0]);
    const { communicator, config } = this.options;
    const { lambda, sc } = config;
    if (sc === 'off' || lambda === 0 || batch < 2) {
      const [sum] = summed(communicator, ownNac);
      return { nac: sum / batch, sc: 0, lambda: 0 };
    }
    if (sc === 'local') {
      const gram = gramOf(terms);
      const correlation = gram && rows > 1 ? tf.div<tf.Tensor2D>(gram, rows - 1) : undefined;
      const share = rows / batch;
      const own = correlation ? share * selfCorrelationValue(correlation, this.dim).dataSync()[0] : 0;
      const [sum, scMean] = summed(communicator, ownNac, [own]);
      return { nac: sum / batch, sc: scMean, lambda: lambda * share, correlation, correlationRows: rows };
    }
    const reduced =
      batch < this.dim ? this.gatherResiduals(ownNac, terms, shard) : this.reduceGram(ownNac, terms);
    const correlation = tf.div<tf.Tensor2D>(reduced.gram, batch - 1);
    return {
      nac: reduced.nacSum / batch,
      sc: selfCorrelationValue(correlation, this.dim).dataSync()[0],
      lambda,
      correlation,
    };
  }

  /** Of each rank the NAC sums of its logical shards, then its residuals. */
  private gatherResiduals(ownNac: NacSums, terms: Terms, { counts }: Shard) {
    const { dim } = this;
    const { communicator } = this.options;
    const shards = terms.length;
    const offsets = [0];
    for (const count of counts) offsets.push(offsets[offsets.length - 1] + shards + count * dim);
    const all = new Float32Array(offsets[counts.length]);
    let next = offsets[communicator.rank];
    for (const nac of ownNac) all[next++] = nac ?? 0;
    for (const own of terms) {
      if (!own) continue;
      all.set(own.residuals.dataSync(), next);
      next += own.residuals.size;
    }
    communicator.allGatherSync(all, { offsets, tag: 'residuals' });

    let nacSum = 0;
    const rows = new Float32Array(all.length - counts.length * shards);
    counts.forEach((_, rank) => {
      const [start, end] = [offsets[rank] + shards, offsets[rank + 1]];
      for (let at = offsets[rank]; at < start; at++) nacSum += all[at];
      rows.set(all.subarray(start, end), offsets[rank] - rank * shards);
    });
    const residuals = tf.tensor2d(rows, [rows.length / dim, dim]);
    return { nacSum, gram: tf.matMul(residuals, residuals, true, false) };
  }

  private reduceGram(ownNac: NacSums, terms: Terms) {
    const { dim } = this;
    const { communicator } = this.options;
    const packed = new Float32Array((dim * (dim + 1)) / 2 + 1);
    const gram = gramOf(terms);
    if (gram) packUpper(gram.dataSync(), dim, packed);
    packed[packed.length - 1] = pairwise(ownNac, (a, b) => Math.fround(a + b)) ?? 0;
    communicator.allReduceSync(packed, { tag: 'gram' });
    return { nacSum: packed[packed.length - 1], gram: tf.tensor2d(unpackUpper(packed, dim), [dim, dim]) };
  }
}

/** By logical shard of this rank; absent where one has no rows. */
type Terms = readonly (LocalTerms | undefined)[];
type NacSums = readonly (number | undefined)[];

/** Sum over this rank's rows of u u^T, [d, d]; undefined where it has none. */
function gramOf(terms: Terms): tf.Tensor2D | undefined {
  return total(terms.map((own) => own && tf.matMul<tf.Tensor2D>(own.residuals, own.residuals, true, false)));
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
