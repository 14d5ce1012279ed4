import { tf } from '../tf/deferred.js';
import type { Scalar, Tensor, Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { fromHost, onHost, type Outcome } from '../backend/host-values.js';
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
import { computeMixed } from './mixed.js';
import { overShards, placed, total } from './over-shards.js';
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
  graphs: true,
  mixed: true,
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
  private upper: Tensor2D | undefined;

  constructor(
    private readonly config: Omit<PodConfig, 'name'>,
    private readonly context: LossContext,
    /** 0: SC alone. */
    private readonly nacWeight: 0 | 1 = 1,
  ) {
    this.dim = context.targets.dim;
    this.state = new Delta(config.delta, context);
  }

  compute(features: Tensor2D, classWeights: readonly Tensor[], shard: Shard): Computed {
    const { mixed } = shard;
    if (mixed) return computeMixed(this, features, classWeights, { ...shard, mixed });
    const { config, nacWeight, state } = this;
    const deltaSquared = fromHost<Scalar>(() => ({ values: Float32Array.of(state.value ** 2), shape: [] }));
    const batch = batchOf(shard);
    const own = shard.labels.length > 0 ? this.context.targets.own(shard.labels) : tf.zerosLike(features);
    const tensors = [features, own];
    const terms = overShards(shard, tensors, ({ tensors: [rows, own] }) =>
      localTerms(rows, own, deltaSquared),
    );
    const { sums, ...reduced } = this.reduce(terms, shard, batch);
    const norms = state.norms(features, shard);
    const gradients = overShards(shard, tensors, ({ tensors: [features, own] }) =>
      globalGradient({ features, own, deltaSquared, batch, nacWeight, ...reduced }),
    );
    const values = {
      tensors: [...norms.tensors, ...sums.tensors],
      of: (read: readonly Float32Array[]) => {
        norms.of(read.slice(0, norms.tensors.length));
        const { nac, sc } = sums.of(read.slice(norms.tensors.length));
        return { loss: nacWeight * nac + config.lambda * sc, parts: { nac, sc } };
      },
    };
    return { values, gradients: [join(gradients) ?? tf.zerosLike(features)] };
  }

  dispose(): void {
    this.state.dispose();
    this.upper?.dispose();
  }

  private reduce(terms: Terms, shard: Shard, batch: number): Reduced {
    const rows = shard.labels.length;
    const nacs = placed(terms.map((own) => own?.nacSum));
    const { communicator } = this.context;
    const { lambda, sc } = this.config;
    if (sc === 'off' || lambda === 0 || batch < 2) {
      const of = (read: readonly Float32Array[]) => {
        const [sum] = summed(communicator, nacs.of(read));
        return { nac: sum / batch, sc: 0 };
      };
      return { lambda: 0, sums: { tensors: nacs.tensors, of } };
    }
    if (sc === 'local') {
      const gram = gramOf(terms);
      const correlation = gram && rows > 1 ? tf.div<Tensor2D>(gram, rows - 1) : undefined;
      const share = rows / batch;
      const own = placed([correlation && selfCorrelationValue(correlation, this.dim)]);
      const of = (read: readonly Float32Array[]) => {
        const [value = 0] = own.of(read.slice(nacs.tensors.length));
        const [sum, mean] = summed(communicator, nacs.of(read), [share * value]);
        return { nac: sum / batch, sc: mean };
      };
      const sums = { tensors: [...nacs.tensors, ...own.tensors], of };
      return { lambda: lambda * share, correlation, correlationRows: rows, sums };
    }
    const gather = batch < this.dim;
    const { gram, nacSum } =
      communicator.worldSize === 1
        ? this.onOneRank(nacs, terms, gather)
        : gather
          ? this.gatherResiduals(nacs, terms, shard)
          : this.reduceGram(nacs, terms);
    const correlation = tf.div<Tensor2D>(gram, batch - 1);
    const value = selfCorrelationValue(correlation, this.dim);
    const of = ([[sc], ...read]: readonly Float32Array[]) => ({ nac: nacSum.of(read) / batch, sc });
    return { lambda, correlation, sums: { tensors: [value, ...nacSum.tensors], of } };
  }

  /** One rank: the same bits as the other two ways give, without reading values from the device. */
  private onOneRank(nacs: Placed, terms: Terms, gather: boolean): Correlated {
    const { tensors } = nacs;
    if (gather) {
      const residuals = join(terms.map((own) => own?.residuals)) as Tensor2D;
      const of = (read: readonly Float32Array[]) =>
        nacs.of(read).reduce<number>((sum, nac = 0) => sum + nac, 0);
      return { nacSum: { tensors, of }, gram: tf.matMul(residuals, residuals, true, false) };
    }
    const gram = gramOf(terms) as Tensor2D;
    const of = (read: readonly Float32Array[]) => roundedSum(nacs.of(read));
    this.upper ??= tf.keep(upperTriangle(this.dim));
    return { nacSum: { tensors, of }, gram: tf.where(this.upper, gram, tf.transpose(gram)) };
  }

  /** Gathers, for each rank, the NAC sums of its virtual workers and then its residuals. */
  private gatherResiduals(nacs: Placed, terms: Terms, { counts }: Shard): Correlated {
    const { dim } = this;
    const { communicator } = this.context;
    const shards = terms.length;
    const offsets = [0];
    for (const count of counts) offsets.push(offsets[offsets.length - 1] + shards + count * dim);
    let nacSum = 0;
    const own = terms.filter((one) => one !== undefined).map(({ residuals }) => residuals);
    const [residuals] = onHost([...nacs.tensors, ...own], (read) => {
      const all = new Float32Array(offsets[counts.length]);
      let next = offsets[communicator.rank];
      for (const nac of nacs.of(read)) all[next++] = nac ?? 0;
      for (const values of read.slice(nacs.tensors.length)) {
        all.set(values, next);
        next += values.length;
      }
      communicator.allGatherSync(all, { offsets, tag: 'residuals' });

      nacSum = 0;
      const rows = new Float32Array(all.length - counts.length * shards);
      counts.forEach((_, rank) => {
        const [start, end] = [offsets[rank] + shards, offsets[rank + 1]];
        for (let at = offsets[rank]; at < start; at++) nacSum += all[at];
        rows.set(all.subarray(start, end), offsets[rank] - rank * shards);
      });
      return [{ values: rows, shape: [rows.length / dim, dim] }];
    });
    return { nacSum: { tensors: [], of: () => nacSum }, gram: tf.matMul(residuals, residuals, true, false) };
  }

  private reduceGram(nacs: Placed, terms: Terms): Correlated {
    const { dim } = this;
    const { communicator } = this.context;
    let nacSum = 0;
    const own = gramOf(terms);
    const [gram] = onHost([...nacs.tensors, ...(own ? [own] : [])], (read) => {
      const packed = new Float32Array((dim * (dim + 1)) / 2 + 1);
      if (own) packUpper(read[nacs.tensors.length], dim, packed);
      packed[packed.length - 1] = roundedSum(nacs.of(read));
      communicator.allReduceSync(packed, { tag: 'gram' });
      nacSum = packed[packed.length - 1];
      return [{ values: unpackUpper(packed, dim), shape: [dim, dim] }];
    });
    return { nacSum: { tensors: [], of: () => nacSum }, gram: gram as Tensor2D };
  }
}

/** Terms by virtual worker of this rank; absent where one has no rows. */
type Terms = readonly (LocalTerms | undefined)[];
type Placed = ReturnType<typeof placed>;

/** The sum over all rows of u u^T, [d, d], and of the NAC terms. */
interface Correlated {
  gram: Tensor2D;
  nacSum: Outcome<number>;
}

/** A sum in pairs, rounded to float32 each time. */
function roundedSum(sums: readonly (number | undefined)[]): number {
  return pairwise(sums, (a, b) => Math.fround(a + b)) ?? 0;
}

/** True on and above the diagonal of [d, d]. */
function upperTriangle(dim: number): Tensor2D {
  const row = (start: number) => Uint8Array.from({ length: dim }, (_, column) => (column >= start ? 1 : 0));
  const values = new Uint8Array(dim * dim);
  for (let index = 0; index < dim; index++) values.set(row(index), index * dim);
  return tf.tensor2d(values, [dim, dim], 'bool');
}

/** Sum over this rank's rows of u u^T, [d, d]; undefined where it has none. */
function gramOf(terms: Terms): Tensor2D | undefined {
  return total(terms.map((own) => own && tf.matMul<Tensor2D>(own.residuals, own.residuals, true, false)));
}

interface Reduced {
  sums: Outcome<{ nac: number; sc: number }>;
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
