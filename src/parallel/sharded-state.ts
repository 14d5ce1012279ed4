import type { Communicator } from '../collective/communicator.js';
import { shardOf, type Range } from './buckets.js';
import type { StateName } from '../optim/index.js';

/** State of all ranks: one array of one number a weight for each name. */
export type OptimiserState = Partial<Record<StateName | 'residual', Float32Array>>;

/** A bucket, the shard of it that this rank updates, and where the shard's state lies in the state arrays. */
export interface ShardedBucket extends Range {
  shard: Range;
  stateOffset: number;
}

interface ShardedStateOptions {
  communicator: Communicator;
  /** Buckets of the flat parameters. */
  buckets: readonly Range[];
  names: readonly StateName[];
}

/** The optimiser state of this rank's shards, one after another: 1/N of a number a weight. */
export class ShardedState {
  readonly buckets: readonly ShardedBucket[];
  /** Arrays in the arena, one for each name. */
  readonly arrays: readonly Float32Array[];

  constructor(private readonly options: ShardedStateOptions) {
    const { communicator, names } = options;
    let length = 0;
    this.buckets = options.buckets.map((bucket) => {
      const shard = shardOf(bucket, communicator);
      const stateOffset = length;
      length += shard.end - shard.start;
      return { ...bucket, shard, stateOffset };
    });
    this.arrays = names.map(() => communicator.allocate(length));
  }

  /** Numbers of all shards of one array. */
  get length(): number {
    const last = this.buckets[this.buckets.length - 1];
    return last ? last.stateOffset + last.shard.end - last.shard.start : 0;
  }

  /** Takes this rank's shards out of the state of all shards, which every rank has. */
  adopt(state: OptimiserState): void {
    for (const [which, name] of this.options.names.entries()) {
      const values = state[name];
      for (const { shard, stateOffset } of this.buckets) {
        const own = this.arrays[which].subarray(stateOffset, stateOffset + shard.end - shard.start);
        if (values) own.set(values.subarray(shard.start, shard.end));
        else own.fill(0);
      }
    }
  }

  /**
   * The state of all shards, or those arrays of it that are `wanted`; every rank calls it, and every rank gets it.
   * `scratch` holds a number a weight.
   */
  async gather(
    scratch: Float32Array,
    wanted: readonly StateName[] = this.options.names,
  ): Promise<OptimiserState> {
    const { communicator, names } = this.options;
    const gathered: OptimiserState = {};
    for (const [which, name] of names.entries()) {
      if (!wanted.includes(name)) continue;
      for (const { start, end, shard, stateOffset } of this.buckets) {
        const length = shard.end - shard.start;
        scratch.set(this.arrays[which].subarray(stateOffset, stateOffset + length), shard.start);
        await communicator.allGather(scratch.subarray(start, end), { tag: `state/${name}` });
      }
      gathered[name] = scratch.slice();
    }
    return gathered;
  }

  /** Gives every rank its shards of the state that rank 0 has; without one: zeros. */
  async scatter(state: OptimiserState | undefined, scratch: Float32Array): Promise<void> {
    const { communicator, names } = this.options;
    for (const [which, name] of names.entries()) {
      for (const { start, end, shard, stateOffset } of this.buckets) {
        const values = scratch.subarray(start, end).fill(0);
        const given = state?.[name];
        if (given) values.set(given.subarray(start, end));
        await communicator.broadcast(values, 0, { tag: `state/${name}` });
        this.arrays[which].set(values.subarray(shard.start - start, shard.end - start), stateOffset);
      }
    }
  }
}
