import { shardRange, type Communicator } from '../collective/communicator.js';
import type { OptimiserKernels } from '../collective/kernels/optimisers.js';
import type { Config } from '../config/schema.js';
import { PodDistError } from '../errors.js';
import { noTracer, type Tracer } from '../trace/tracer.js';
import { planBuckets, type Range } from './buckets.js';
import { ErrorFeedback } from './error-feedback.js';
import { createOptimiser, type Optimiser, type Segment, type StateName } from './optimisers/index.js';
import type { Parameters, Slot } from './parameters.js';

/** A bucket of the flat parameters, and the shard of it that this rank updates. */
interface Bucket extends Range {
  shard: Range;
  /** Where the shard's state lies in the state arrays. */
  stateOffset: number;
  segments: Segment[];
}

interface Options {
  parameters: Parameters;
  /** Flat, in the arena. */
  weights: Float32Array;
  communicator: Communicator;
  config: Config;
  /** Told of each bucket, from full to applied, and of the optimiser's work; default: nobody is. */
  tracer?: Tracer;
}

/** State of all ranks: one array of one number a weight for each name. */
export type OptimiserState = Partial<Record<StateName | 'residual', Float32Array>>;

/** As PyTorch's clip_grad_norm_ has it. */
const clipEpsilon = 1e-6;

/**
 * The update of the weights, each rank's share of it (ZeRO's optimiser sharding, arXiv 1910.02054).
 *
 *     1. each bucket's gradients are reduce-scattered: rank r gets the sums of shard r      (N - 1)/N S bytes
 *     2. where clipping or LARS needs norms: sums of squares over the shards are all-reduced
 *     3. rank r updates its shards: 1/N of the work, and of the optimiser's memory
 *     4. each bucket's weights are all-gathered                                             (N - 1)/N S bytes
 *
 * The update of a weight needs its own gradient and state alone (and, for 2, sums that all ranks share bit for bit), so
 * the cut into shards changes nothing; and since every weight is computed by one rank and copied, weights are bitwise
 * equal on all ranks. The bytes are those of one all-reduce.
 *
 * Buckets are sent from the last to the first, as the backward pass completes them; ranks that would send in
 * another order could not match. Without norms a bucket is updated and gathered while the next is still reduced.
 */
export class ShardedOptimiser {
  /** Gradients of this rank, flat, in the arena: filled by the caller. */
  readonly gradients: Float32Array;
  readonly buckets: readonly Range[];
  /** Updates so far. */
  updates = 0;
  private readonly own: Bucket[];
  private readonly slots: Slot[];
  private readonly optimiser: Optimiser;
  private readonly feedback: ErrorFeedback;
  private readonly state: readonly Float32Array[];
  /** Reduce-scatters under way, by bucket. */
  private readonly reducing: (Promise<unknown> | undefined)[] = [];
  private readonly tracer: Tracer;
  /** When each bucket was full, for the trace. */
  private readonly full: number[] = [];

  static async create(options: Options): Promise<ShardedOptimiser> {
    return new ShardedOptimiser(options, await options.communicator.loadOptimisers());
  }

  private constructor(
    private readonly options: Options,
    private readonly kernels: OptimiserKernels,
  ) {
    const { parameters, communicator, config } = options;
    this.slots = parameters.slots;
    this.tracer = options.tracer ?? noTracer;
    this.buckets = planBuckets(this.slots, config.distributed.bucketBytes);
    this.optimiser = createOptimiser(config.optimizer, kernels);
    this.gradients = communicator.allocate(parameters.length);
    const compressed = config.distributed.wire === 'bf16';
    const { buckets } = this;
    this.feedback = new ErrorFeedback({ communicator, buckets, length: parameters.length, compressed });
    const shards = this.buckets.map((bucket) => this.shardOf(bucket));
    const length = shards.reduce((sum, { start, end }) => sum + end - start, 0);
    this.state = this.optimiser.stateNames.map(() => communicator.allocate(length));
    let stateOffset = 0;
    this.own = this.buckets.map((bucket, index) => {
      const shard = shards[index];
      const own = { ...bucket, shard, stateOffset, segments: this.segmentsOf(shard, stateOffset) };
      stateOffset += shard.end - shard.start;
      return own;
    });
  }

  /** Sends bucket `index`, whose gradients are complete; the last bucket first, and each once a step. */
  reduce(index: number): void {
    const { start, end } = this.buckets[index];
    this.full[index] = this.tracer.now();
    const sum = this.options.communicator.reduceScatter(this.gradients.subarray(start, end), {
      tag: `gradients/${index}`,
      ...this.feedback.wireOf(index),
    });
    sum.catch(() => {});
    this.reducing[index] = sum;
  }

  /**
   * Updates the weights on all ranks, once every bucket is sent; `count` micro-batches have been added up in the
   * gradients.
   *
   * @throws PodDistError `GRADIENT_NOT_FINITE` with the parameter and the step, on the rank whose shard holds it
   */
  async update(rate: number, count = 1): Promise<void> {
    const { tracer } = this;
    const { communicator, config, weights } = this.options;
    const needsNorms = this.optimiser.layerwise || config.optimizer.clipNorm !== undefined;
    const norms = new Norms(this.slots.length);
    const step = this.updates + 1;
    const gathers: Promise<void>[] = [];
    const apply = (bucket: Bucket, index: number, scale: number) => {
      const began = tracer.now();
      for (const segment of bucket.segments)
        this.optimiser.update(segment, { rate, step, scale, norms: norms.of(segment.parameter) });
      tracer.span('compute', `optimiser ${index}`, began);
      const values = weights.subarray(bucket.start, bucket.end);
      const bytes = values.byteLength;
      const gather = communicator
        .allGather(values, { tag: `weights/${index}` })
        .then(() => tracer.span('buckets', `bucket ${index}`, this.full[index], { bytes }));
      gather.catch(() => {});
      gathers.push(gather);
    };
    for (let index = this.own.length - 1; index >= 0; index--) {
      await this.reducing[index];
      this.feedback.addTo(this.gradients, index);
      this.measure(this.own[index], norms);
      if (!needsNorms) apply(this.own[index], index, 1 / count);
    }
    if (needsNorms) {
      await communicator.allReduce(norms.squares, { tag: 'norms' });
      const scale = clipScale(norms.total / count, config.optimizer.clipNorm) / count;
      for (let index = this.own.length - 1; index >= 0; index--) apply(this.own[index], index, scale);
    }
    await Promise.all(gathers);
    this.updates = step;
  }

  /** Ends an epoch: what compression has kept back on all ranks goes to the shards that it belongs to. */
  settle(): Promise<void> {
    return this.feedback.settle();
  }

  /**
   * The state of all shards after `settle`, by the names of its arrays; every rank calls it, and every rank gets it.
   * It is gathered where gradients lie during a step.
   */
  async gatherState(): Promise<OptimiserState> {
    const { communicator } = this.options;
    const full = this.gradients;
    const gathered: OptimiserState = {};
    for (const [which, name] of this.optimiser.stateNames.entries()) {
      for (const { start, end, shard, stateOffset } of this.own) {
        const length = shard.end - shard.start;
        full.set(this.state[which].subarray(stateOffset, stateOffset + length), shard.start);
        await communicator.allGather(full.subarray(start, end), { tag: `state/${name}` });
      }
      gathered[name] = full.slice();
    }
    const residual = await this.feedback.gather();
    return residual ? { ...gathered, residual } : gathered;
  }

  /** Starts every rank from the state and the number of updates that rank 0 gives; without one: from nothing. */
  async scatterState(state: OptimiserState | undefined, updates: number): Promise<void> {
    const { communicator } = this.options;
    for (const [which, name] of this.optimiser.stateNames.entries()) {
      for (const { start, end, shard, stateOffset } of this.own) {
        const values = this.gradients.subarray(start, end).fill(0);
        const given = state?.[name];
        if (given) values.set(given.subarray(start, end));
        await communicator.broadcast(values, 0, { tag: `state/${name}` });
        this.state[which].set(values.subarray(shard.start - start, shard.end - start), stateOffset);
      }
    }
    await this.feedback.scatter(state?.residual);
    this.updates = updates;
  }

  private shardOf({ start, end }: Range): Range {
    const { rank, worldSize } = this.options.communicator;
    const [first, last] = shardRange(end - start, rank, worldSize);
    return { start: start + first, end: start + last };
  }

  /** Cuts a shard where the update rule changes: at every parameter for LARS, else where decay begins or ends. */
  private segmentsOf(shard: Range, stateOffset: number): Segment[] {
    const { weights, config } = this.options;
    const { skipDecay } = config.optimizer;
    const pieces: (Range & Pick<Segment, 'decays' | 'parameter' | 'matrix'>)[] = [];
    this.slots.forEach(({ offset, size, shape }, parameter) => {
      const start = Math.max(offset, shard.start);
      const end = Math.min(offset + size, shard.end);
      if (start >= end) return;
      const matrix = shape.length >= 2;
      const decays = matrix || !skipDecay;
      const before = pieces.at(-1);
      if (before && !this.optimiser.layerwise && before.decays === decays) before.end = end;
      else pieces.push({ start, end, decays, parameter, matrix });
    });
    return pieces.map(({ start, end, ...rest }) => {
      const at = stateOffset + start - shard.start;
      return {
        ...rest,
        weights: weights.subarray(start, end),
        gradients: this.gradients.subarray(start, end),
        state: this.state.map((array) => array.subarray(at, at + end - start)),
      };
    });
  }

  /** Adds up squares of the bucket's shard; a sum in double precision is finite where all its numbers are. */
  private measure(bucket: Bucket, norms: Norms): void {
    for (const { parameter, weights, gradients } of bucket.segments) {
      const square = this.kernels.squaredNorm(gradients);
      if (!Number.isFinite(square)) throw this.notFinite(bucket.shard);
      const weight = this.optimiser.layerwise ? this.kernels.squaredNorm(weights) : 0;
      norms.add(parameter, weight, square);
    }
  }

  private notFinite({ start, end }: Range): PodDistError {
    const at = start + this.kernels.firstNonFinite(this.gradients.subarray(start, end));
    const slot = this.slots.find(({ offset, size }) => at >= offset && at < offset + size) as Slot;
    return new PodDistError(
      'GRADIENT_NOT_FINITE',
      `the gradient of ${slot.name}, element ${at - slot.offset}, is ${this.gradients[at]} in step ${this.updates}: ` +
        'lower learningRate.rate, or look for broken images',
    );
  }
}

/** Squared norms of every parameter's weights and gradients: this rank's part, then summed over the ranks. */
class Norms {
  readonly squares: Float64Array;

  constructor(parameters: number) {
    this.squares = new Float64Array(2 * parameters);
  }

  add(parameter: number, weight: number, gradient: number): void {
    this.squares[2 * parameter] += weight;
    this.squares[2 * parameter + 1] += gradient;
  }

  of(parameter: number): { weights: number; gradients: number } {
    const [weights, gradients] = this.squares.subarray(2 * parameter, 2 * parameter + 2);
    return { weights: Math.sqrt(weights), gradients: Math.sqrt(gradients) };
  }

  /** Norm of the gradient of all parameters. */
  get total(): number {
    let sum = 0;
    for (let at = 1; at < this.squares.length; at += 2) sum += this.squares[at];
    return Math.sqrt(sum);
  }
}

function clipScale(norm: number, longest: number | undefined): number {
  return longest === undefined ? 1 : Math.min(1, longest / (norm + clipEpsilon));
}
