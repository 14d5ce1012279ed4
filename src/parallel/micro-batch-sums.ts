import type { Communicator } from '../collective/communicator.js';
import type { ValueKernels } from '../kernels/program.js';
import type { ShardedBucket } from './sharded-state.js';

/**
 * Gradients of the micro-batches before a step's last one, summed over the ranks micro-batch by micro-batch: this rank's
 * shards of them, 1/N of a number a weight.
 *
 * Micro-batches that are added up on each rank first travel once a step instead, but then each rank's sum is one of its
 * own share of the images, and the bits of the step depend on how many ranks share them.
 */
export class MicroBatchSums {
  private sums: Float32Array | undefined;
  /** Buckets of which sums are kept. */
  private readonly kept = new Set<number>();

  constructor(
    private readonly communicator: Communicator,
    private readonly buckets: readonly ShardedBucket[],
  ) {}

  /** Keeps this rank's shard of bucket `index` of flat gradients, which are summed over the ranks. */
  keep(kernels: ValueKernels, gradients: Float32Array, index: number): void {
    const { shard } = this.buckets[index];
    const sum = this.sumOf(index);
    const values = gradients.subarray(shard.start, shard.end);
    if (this.kept.has(index)) kernels.add(sum, values);
    else sum.set(values);
    this.kept.add(index);
  }

  /** Adds the sums kept for bucket `index` to this rank's shard of flat gradients, then drops them. */
  addTo(kernels: ValueKernels, gradients: Float32Array, index: number): void {
    if (!this.kept.delete(index)) return;
    const { shard } = this.buckets[index];
    kernels.add(gradients.subarray(shard.start, shard.end), this.sumOf(index));
  }

  private sumOf(index: number): Float32Array {
    const last = this.buckets[this.buckets.length - 1];
    this.sums ??= this.communicator.allocate(last.stateOffset + last.shard.end - last.shard.start);
    const { shard, stateOffset } = this.buckets[index];
    return this.sums.subarray(stateOffset, stateOffset + shard.end - shard.start);
  }
}
