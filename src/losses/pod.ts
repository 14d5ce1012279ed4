import { tf } from '../tf/deferred.js';
import type { Tensor, Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { pairwise } from '../collective/pairwise.js';
import { join } from '../models/parts.js';
import {
  batchOf,
  defineLoss,
  summed,
  type Computed,
  type Loss,
  type LossContext,
  type Shard,
} from './loss.js';
import { overShards, total } from './over-shards.js';
import { Delta, deltaSchema } from './pod-delta.js';
import { globalGradient, localTerms, selfCorrelationValue, type LocalTerms } from './pod-terms.js';

const schema = z.strictObject({
  name: z.literal('pod').default('pod'),
  lambda: z.number().min(0).default(1).describe('weight of the self-correlation loss'),
  sc: z
    .enum(['global', 'local', 'off'])
    .default('global')
    .describe('self-correlation over all workers, over each shard alone (workers then matter), or none'),
  delta: deltaSchema.prefault({}),
});

export type PodConfig = z.output<typeof schema>;

export const pod = defineLoss({
  name: 'pod',
  schema,
  workersMatter: ({ sc }) => (sc === 'local' ? { setting: 'sc', advice: 'choose global or off' } : undefined),
  create: (config, context) => new PodLoss(config, context),
});

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
 * NAC sums travel in the same message: one number a rank, or a virtual worker where residuals are gathered. Every rank
 * then knows C and the loss, and its own rows' gradient follows from C alone; summing parameter gradients over the ranks
 * gives the gradient of the global loss.
 *
 * With `sc: local` each rank takes C from its own b rows instead, and SC is the mean of the ranks' own, weighted with
 * b / B: what averaging the ranks' losses gives, which depends on the number of workers.
 *
 * A step reads the centroids of its own images alone, and for delta those beyond the last whole basis.
 */
export class PodLoss implements Loss {
  readonly state: Delta;
  private readonly dim: number;

  constructor(
    private readonly config: Omit<PodConfig, 'name'>,
    private readonly context: LossContext,
    /** 0: SC alone. */
    private readonly nacWeight: 0 | 1 = 1,
  ) {
    this.dim = context.targets.dim;
    this.state = new Delta(config.delta, context);
  }

  compute(features: Tensor2D, _classWeights: readonly Tensor[], shard: Shard): Computed {
    const { config, nacWeight } = this;
    const delta = this.state.value;
    const batch = batchOf(shard);
    const own = shard.labels.length > 0 ? this.context.targets.own(shard.labels) : tf.zerosLike(features);
    const tensors = [features, own];
    const terms = overShards(shard, tensors, ({ tensors: [rows, own] }) => localTerms(rows, own, delta));
    const { nac, sc, ...reduced } = this.reduce(terms, shard, batch);
    this.state.observe(features, shard);
    const gradients = overShards(shard, tensors, ({ tensors: [features, own] }) =>
      globalGradient({ features, own, delta, batch, nacWeight, ...reduced }),
    );
    return {
      values: { loss: nacWeight * nac + config.lambda * sc, parts: { nac, sc } },
      gradients: [join(gradients) ?? tf.zerosLike(features)],
    };
  }

  dispose(): void {
    this.state.dispose();
  }

  private reduce(terms: Terms, shard: Shard, batch: number): Reduced {
    const rows = shard.labels.length;
    const ownNac = terms.map((own) => own?.nacSum.dataSync()[0]);
    const { communicator } = this.context;
    const { lambda, sc } = this.config;
    if (sc === 'off' || lambda === 0 || batch < 2) {
      const [sum] = summed(communicator, ownNac);
      return { nac: sum / batch, sc: 0, lambda: 0 };
    }
    if (sc === 'local') {
      const gram = gramOf(terms);
      const correlation = gram && rows > 1 ? tf.div<Tensor2D>(gram, rows - 1) : undefined;
      const share = rows / batch;
      const own = correlation ? share * selfCorrelationValue(correlation, this.dim).dataSync()[0] : 0;
      const [sum, scMean] = summed(communicator, ownNac, [own]);
      return { nac: sum / batch, sc: scMean, lambda: lambda * share, correlation, correlationRows: rows };
    }
    const reduced =
      batch < this.dim ? this.gatherResiduals(ownNac, terms, shard) : this.reduceGram(ownNac, terms);
    const correlation = tf.div<Tensor2D>(reduced.gram, batch - 1);
    return {
      nac: reduced.nacSum / batch,
      sc: selfCorrelationValue(correlation, this.dim).dataSync()[0],
      lambda,
      correlation,
    };
  }

  /** Gathers, for each rank, the NAC sums of its virtual workers and then its residuals. */
  private gatherResiduals(ownNac: NacSums, terms: Terms, { counts }: Shard) {
    const { dim } = this;
    const { communicator } = this.context;
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
    const { communicator } = this.context;
    const packed = new Float32Array((dim * (dim + 1)) / 2 + 1);
    const gram = gramOf(terms);
    if (gram) packUpper(gram.dataSync(), dim, packed);
    packed[packed.length - 1] = pairwise(ownNac, (a, b) => Math.fround(a + b)) ?? 0;
    communicator.allReduceSync(packed, { tag: 'gram' });
    return { nacSum: packed[packed.length - 1], gram: tf.tensor2d(unpackUpper(packed, dim), [dim, dim]) };
  }
}

/** Terms by virtual worker of this rank; absent where one has no rows. */
type Terms = readonly (LocalTerms | undefined)[];
type NacSums = readonly (number | undefined)[];

/** Sum over this rank's rows of u u^T, [d, d]; undefined where it has none. */
function gramOf(terms: Terms): Tensor2D | undefined {
  return total(terms.map((own) => own && tf.matMul<Tensor2D>(own.residuals, own.residuals, true, false)));
}

interface Reduced {
  nac: number;
  sc: number;
  /** Weight of the gradient of SC on this rank. */
  lambda: number;
  correlation?: Tensor2D;
  /** Number of rows that `correlation` was computed from; default: the global batch. */
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
