import type { Communicator } from '../collective/communicator.js';
import type { Config } from '../config/schema.js';
import type { ValueKernels } from '../kernels/program.js';
import { shareOfUpdate } from '../optim/average.js';
import type { Optimiser, Segment, StateName } from '../optim/index.js';
import type { Range } from './buckets.js';
import { ErrorFeedback } from './error-feedback.js';
import type { FrozenParts } from './frozen-parts.js';
import { ShardedState, type OptimiserState, type ShardedBucket } from './sharded-state.js';

interface UpdateStateOptions {
  communicator: Communicator;
  config: Config;
  buckets: readonly Range[];
  frozen: FrozenParts;
  rule: Optimiser;
  /** Flat weights, in the arena. */
  weights: Float32Array;
  /** A number a weight in the arena, free between steps. */
  scratch: Float32Array;
}

/**
 * What an update leaves to the next one: how many there were, the arrays of the rule and the moving average of the weights
 * (`ema`), both of this rank's shards alone, and what rounding on the wire has taken away.
 */
export class UpdateState {
  /** Number of updates so far, those under way included. */
  updates = 0;
  /** Keeps what rounding on the wire takes away from gradients. */
  readonly feedback: ErrorFeedback;
  private readonly sharded: ShardedState;
  /** Arrays of each shard: the rule's own, and the average of the weights last. */
  private readonly arrayNames: readonly StateName[];

  constructor(private readonly options: UpdateStateOptions) {
    const { communicator, config, buckets, rule, weights } = options;
    const compressed = config.distributed.wire === 'bf16';
    this.feedback = new ErrorFeedback({ communicator, buckets, length: weights.length, compressed });
    const averages = config.ema.decay === undefined ? [] : (['average'] as const);
    this.arrayNames = [...rule.stateNames, ...averages];
    this.sharded = new ShardedState({ communicator, buckets, names: this.arrayNames });
  }

  get buckets(): readonly ShardedBucket[] {
    return this.sharded.buckets;
  }

  /** This rank's shards of the rule's arrays and of the average. */
  get arrays(): readonly Float32Array[] {
    return this.sharded.arrays;
  }

  /** Names of the arrays that `shards` has; the same on all ranks. */
  get names(): (keyof OptimiserState)[] {
    return [...this.arrayNames, ...(this.feedback.shards ? (['residual'] as const) : [])];
  }

  /**
   * This rank's shards of every array, one after another, once residuals are settled: views, which the next step changes.
   */
  get shards(): Float32Array[] {
    const { arrays, length } = this.sharded;
    return [...arrays.map((array) => array.subarray(0, length)), ...(this.feedback.shards ?? [])];
  }

  /** The state of all shards, once residuals are settled; every rank calls it, and every rank gets it. */
  async gather(): Promise<OptimiserState> {
    const gathered = await this.sharded.gather(this.options.scratch);
    const residual = await this.feedback.gather();
    return residual ? { ...gathered, residual } : gathered;
  }

  /** Starts every rank from the state and the number of updates that rank 0 gives; without a state: from nothing. */
  async scatter(state: OptimiserState | undefined, updates: number): Promise<void> {
    await this.sharded.scatter(state && this.withAverage(state), this.options.scratch);
    await this.feedback.scatter(state?.residual);
    this.updates = updates;
  }

  /** Goes on from the state of all shards, which every rank has. */
  adopt(state: OptimiserState, updates: number): void {
    this.sharded.adopt(this.withAverage(state));
    this.feedback.adopt(state.residual);
    this.updates = updates;
  }

  /** Share of an update, by default of the last one, in the average of the weights; undefined: there is no average. */
  averageShare(update = this.updates): number | undefined {
    return shareOfUpdate(this.options.config.ema, update);
  }

  /** Moves the average of a segment towards its weights. */
  moveAverage(kernels: ValueKernels, { state, weights }: Segment, share: number): void {
    kernels.average(state[this.options.rule.stateNames.length], weights, share);
  }

  /** The average of frozen weights is these weights. */
  averageFrozen(): void {
    const { rule, frozen, weights } = this.options;
    const average = this.arrays[rule.stateNames.length];
    if (!average) return;
    for (const { shard, stateOffset } of this.buckets)
      for (const { start, end } of frozen.within(shard))
        average.set(weights.subarray(start, end), stateOffset + start - shard.start);
  }

  /** The average of all weights, on every rank, each of which calls it between steps; undefined: there is none. */
  async gatherAverage(): Promise<Float32Array | undefined> {
    const { average } = await this.sharded.gather(this.options.scratch, ['average']);
    return average;
  }

  /** The average of a training that had none begins at its weights. */
  private withAverage(state: OptimiserState): OptimiserState {
    return { average: this.options.weights, ...state };
  }
}
