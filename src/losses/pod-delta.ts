import { tf } from '../tf/deferred.js';
import type { Scalar, Tensor2D } from '../tf/index.js';
import { z } from 'zod';
import { pairwise } from '../collective/pairwise.js';
import type { LossContext, LossState, Shard, Targets } from './loss.js';
import type { Outcome } from '../backend/host-values.js';
import { overShards, placed } from './over-shards.js';

export const deltaSchema = z.strictObject({
  schedule: z
    .enum(['norm', 'mean', 'fixed'])
    .default('norm')
    .describe(
      'norm: grows with the epochs and the norms seen; mean: with the norms alone, as in the version of May 2022; fixed: stays at initial',
    ),
  initial: z.number().min(0).default(0.05).describe('delta of the first epoch'),
  scale: z
    .number()
    .min(0)
    .default(0.01)
    .describe('delta after epoch e is scale * (e + 1) * mean norm; for mean without the e + 1'),
  source: z.enum(['logits', 'features']).default('logits').describe('whose mean norm'),
});

export type DeltaConfig = z.output<typeof deltaSchema>;

/**
 * delta of POD Loss. After epoch e (from 0) it is scale (e + 1) times the mean norm over the epoch's images, of the logits
 * W z as in the authors' code or of the features z, or without the e + 1: a statistic of the data set, so (sum, count) is reduced over all ranks.
 */
export class Delta implements LossState {
  private delta: number;
  /** Sums of norms. */
  sums: readonly number[] = [];
  /** Centroids whose logits the norm needs one by one, [rest, d]. */
  private readonly rest: Tensor2D | undefined;

  constructor(
    private readonly config: DeltaConfig,
    private readonly context: LossContext,
  ) {
    this.delta = config.initial;
    const { schedule, source } = config;
    if (schedule !== 'fixed' && source === 'logits') this.rest = tf.keep(beyondBases(context.targets));
  }

  get value(): number {
    return this.delta;
  }

  get values(): readonly number[] {
    return [this.delta];
  }

  set values([delta]: readonly number[]) {
    this.delta = delta;
  }

  get shown(): { delta: number } {
    return { delta: this.delta };
  }

  /** The norms of a micro-batch's features, [b, d], which are added to the sums as they are read. */
  norms(features: Tensor2D, shard: Shard): Outcome<void> {
    if (this.config.schedule === 'fixed') return { tensors: [], of() {} };
    const { wholeBases } = this.context.targets;
    const { tensors, of } = placed(
      overShards(shard, [features], ({ tensors: [rows] }) => normSum(rows, this.rest, wholeBases)),
    );
    const add = (read: readonly Float32Array[]) => {
      this.sums = of(read).map((sum, index) => (this.sums[index] ?? 0) + (sum ?? 0));
    };
    return { tensors, of: add };
  }

  async afterEpoch(epoch: number, images: number): Promise<void> {
    const { schedule, initial, scale } = this.config;
    if (schedule === 'fixed') {
      this.delta = initial;
      return;
    }
    const sum = Float64Array.of(pairwise(this.sums, (a, b) => a + b) ?? 0);
    await this.context.communicator.allReduce(sum, { tag: 'delta' });
    this.delta = nextDelta({ epoch: schedule === 'norm' ? epoch : 0, meanNorm: sum[0] / images, scale });
    this.sums = [];
  }

  dispose(): void {
    this.rest?.dispose();
  }
}

/**
 * Sum over the rows of features [b, d] of their Euclidean norm or, with `centroids`, of that of their logits; a scalar.
 *
 * Where `wholeBases` orthonormal bases are among the classes besides `centroids`, each of them adds |z|^2 to a row's
 * squared norm of logits (Parseval), and need not be there.
 */
export function normSum(features: Tensor2D, centroids?: Tensor2D, wholeBases = 0): Scalar {
  const own = tf.sum(tf.square(features), 1);
  if (!centroids) return tf.sum(tf.sqrt(own));
  const bases = tf.mul(own, wholeBases);
  if (centroids.shape[0] === 0) return tf.sum(tf.sqrt(bases));
  const rest = tf.sum(tf.square(tf.matMul(features, centroids, false, true)), 1);
  return tf.sum(tf.sqrt(wholeBases > 0 ? tf.add(rest, bases) : rest));
}

/** delta of the epoch after `epoch` (from 0). */
export function nextDelta({
  epoch,
  meanNorm,
  scale,
}: {
  epoch: number;
  meanNorm: number;
  scale: number;
}): number {
  return scale * (epoch + 1) * meanNorm;
}

function beyondBases({ classes, dim, wholeBases, block }: Targets): Tensor2D {
  const first = wholeBases * dim;
  return tf.tensor2d(block(first, classes), [classes - first, dim]);
}
