import type { Communicator } from '../collective/communicator.js';
import type { ValueKernels } from '../kernels/program.js';
import { shardOf, type Range } from './buckets.js';

interface FeedbackOptions {
  communicator: Communicator;
  /** Buckets of the flat parameters, [0, length). */
  buckets: readonly Range[];
  length: number;
  /** Whether gradients are rounded on their way. */
  compressed: boolean;
}

/**
 * Error feedback: keeps what rounding to bfloat16 takes away from gradients, and adds it later.
 *
 *     in a step      a rank keeps what it rounds off, and adds it to the same values of the next step
 *     after an epoch what all ranks have kept is summed in float32 onto the shards: (N - 1)/N S bytes
 *     next step      each rank adds its shard's sum to the summed gradients
 *
 * A reduce-scatter never rounds a rank's own shard, so the sum has its place in the array of what is kept. Between
 * epochs that is one number a weight, whatever the number of ranks: a checkpoint holds it, and another number of ranks
 * goes on from it with nothing lost. An uninterrupted run sums up as well, and so takes the same steps bit for bit.
 */
export class ErrorFeedback {
  private residual: Float32Array | undefined;
  /** Buckets whose shard holds a sum that the next step adds. */
  private readonly carried = new Set<number>();

  constructor(private readonly options: FeedbackOptions) {
    const { communicator, length, compressed } = options;
    if (compressed && communicator.worldSize > 1) this.residual = communicator.allocate(length);
  }

  /** Wire type of bucket `index`, and its residuals where it is rounded. */
  wireOf(index: number): { wire: 'float32' } | { wire: 'bf16'; residual: Float32Array } {
    const { compressed, buckets } = this.options;
    if (!compressed || !this.residual) return { wire: 'float32' };
    const { start, end } = buckets[index];
    return { wire: 'bf16', residual: this.residual.subarray(start, end) };
  }

  /** Adds the residuals kept for this rank's shard of bucket `index` to the flat, summed gradients. */
  addTo(kernels: ValueKernels, gradients: Float32Array, index: number): void {
    if (!this.residual || !this.carried.delete(index)) return;
    const { buckets, communicator } = this.options;
    const { start, end } = shardOf(buckets[index], communicator);
    const sum = this.residual.subarray(start, end);
    kernels.add(gradients.subarray(start, end), sum);
    kernels.clear(sum);
  }

  /** Sums up what all ranks have kept; every rank calls it between steps. */
  async settle(): Promise<void> {
    const { communicator, buckets } = this.options;
    if (!this.residual) return;
    for (const [index, { start, end }] of buckets.entries()) {
      const kept = this.residual.subarray(start, end);
      await communicator.reduceScatter(kept, { tag: `residuals/${index}` });
      this.carry(index);
    }
  }

  /** The sums of this rank's shards, one after another, after `settle`; undefined: nothing is kept. */
  get shards(): Float32Array[] | undefined {
    const { residual } = this;
    const { buckets, communicator } = this.options;
    if (!residual) return undefined;
    return buckets.map((bucket) => {
      const { start, end } = shardOf(bucket, communicator);
      return residual.subarray(start, end);
    });
  }

  /** Residuals that this rank has kept so far in an epoch, one number a weight; undefined: nothing is kept. */
  get kept(): Float32Array | undefined {
    return this.residual;
  }

  /** Goes on from what this rank had kept so far in an epoch. */
  adoptKept(values: Float32Array): void {
    this.residual?.set(values);
    this.carried.clear();
  }

  /** Goes on from the sums of all shards, which every rank has. */
  adopt(sums: Float32Array | undefined): void {
    const { communicator, buckets, length } = this.options;
    if (!sums) return;
    this.residual ??= communicator.allocate(length);
    this.residual.set(sums);
    for (const index of buckets.keys()) this.carry(index);
  }

  /** The sums of all shards, after `settle`; every rank calls it, and every rank gets it. Undefined: nothing is kept. */
  async gather(): Promise<Float32Array | undefined> {
    const { communicator, buckets } = this.options;
    if (!this.residual) return undefined;
    for (const [index, { start, end }] of buckets.entries())
      await communicator.allGather(this.residual.subarray(start, end), { tag: `residuals/${index}` });
    const sums = this.residual.slice();
    for (const index of buckets.keys()) this.carry(index);
    return sums;
  }

  /** Goes on from the sums that rank 0 gives, on every rank. */
  async scatter(sums: Float32Array | undefined): Promise<void> {
    const { communicator, buckets, length } = this.options;
    const given = Float64Array.of(sums ? 1 : 0);
    await communicator.broadcast(given, 0, { tag: 'residuals' });
    if (given[0] === 0) return;
    this.residual ??= communicator.allocate(length);
    if (sums) this.residual.set(sums);
    for (const [index, { start, end }] of buckets.entries()) {
      await communicator.broadcast(this.residual.subarray(start, end), 0, { tag: `residuals/${index}` });
      this.carry(index);
    }
  }

  /** Keeps this rank's shard of a bucket, which holds a sum, and forgets the rest. */
  private carry(index: number): void {
    const { buckets, communicator } = this.options;
    const { start, end } = buckets[index];
    const shard = shardOf(buckets[index], communicator);
    this.residual?.fill(0, start, shard.start);
    this.residual?.fill(0, shard.end, end);
    this.carried.add(index);
  }
}
