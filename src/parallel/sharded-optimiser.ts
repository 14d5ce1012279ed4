import type { Communicator, Pending } from '../collective/communicator.js';
import { loadOptimisers, type OptimiserKernels } from '../kernels/optimisers.js';
import { KernelProgram, type ValueKernels } from '../kernels/program.js';
import type { Config } from '../config/schema.js';
import { codeOf, PodDistError } from '../util/errors.js';
import { noTracer, type Tracer } from '../trace/tracer.js';
import { planBuckets, planGathers, type Range } from './buckets.js';
import { FrozenParts } from './frozen-parts.js';
import { cutOf } from './virtual-workers.js';
import { MicroBatchSums } from './micro-batch-sums.js';
import { NormMeasure } from './norm-measure.js';
import { clipScale, Norms } from './norms.js';
import { createOptimiser, type Optimiser, type Segment } from '../optim/index.js';
import type { Parameters, Slot } from './parameters.js';
import { segmentsOf } from './segments.js';
import type { ShardedBucket } from './sharded-state.js';
import { UpdateState } from './update-state.js';

/** A bucket, and how its shard is updated. */
interface Bucket extends ShardedBucket {
  segments: Segment[];
  /** The update, which the communication thread makes. */
  program: KernelProgram;
}

interface ShardedOptimiserOptions {
  parameters: Parameters;
  /** Flat weights, in the arena. */
  weights: Float32Array;
  communicator: Communicator;
  config: Config;
  /** Whether gradients and weights travel while the caller goes on; default: they do not. */
  overlap?: boolean;
  /** Records each bucket, from full gradients to gathered weights that are needed; default: no tracing. */
  tracer?: Tracer;
}

/** Input of an update. */
export interface UpdateInput {
  /** Learning rate. */
  rate: number;
  /** Number of micro-batches that are added up in the gradients; default 1. */
  count?: number;
}

/**
 * The update of the weights, each rank's share of it (ZeRO's optimiser sharding, arXiv 1910.02054).
 *
 *     1. each bucket's gradients are reduce-scattered: rank r gets the sums of shard r      (N - 1)/N S bytes
 *     2. where clipping or LARS needs norms: sums of squares over the shards are all-reduced
 *     3. rank r updates its shards: 1/N of the work, and of the optimiser's memory
 *     4. each bucket's weights are all-gathered                                             (N - 1)/N S bytes
 *
 * Where an average of the weights is wanted (`ema`), step 3 moves it, too: it is an array of the state.
 *
 * The update of a weight needs its own gradient and state alone (and, for 2, sums that all ranks share bit for bit),
 * so the cut into shards changes nothing; and since every weight is computed by one rank and copied, weights are
 * bitwise equal on all ranks. The bytes are those of one all-reduce.
 *
 * Buckets are reduced from the last to the first, as the backward pass completes them, and gathered in the order that
 * `planGathers` gives; ranks in another order could not match. The communication thread makes the updates (3), each
 * before its gather, by kernels that are recorded for it: no thread waits for a sum. Updates that need norms come
 * after all sums. A reader of weights waits for their bucket's gather (`waitFor`). Without overlap the same calls
 * block, one after another; within a host the compute thread makes them, and the updates, by itself.
 *
 * A bucket of frozen parameters alone never travels.
 */
export class ShardedOptimiser {
  /** Gradients of this rank, flat, in the arena: filled by the caller while no gather is under way. */
  readonly gradients: Float32Array;
  readonly buckets: readonly Range[];
  /** What the updates so far leave to the next one. */
  readonly state: UpdateState;
  private readonly own: Bucket[];
  private readonly slots: readonly Slot[];
  private readonly frozen: FrozenParts;
  private hasBegun = false;
  /** Norms where nothing needs them. */
  private readonly noNorms: Norms;
  private readonly optimiser: Optimiser;
  /** Measures norms where something needs them. */
  private readonly measure: NormMeasure | undefined;
  private readonly microBatches: MicroBatchSums;
  /** Buckets to gather after the gradients of a bucket are reduced, by that bucket. */
  private readonly gathersAfter: readonly (readonly number[])[];
  /** Reduce-scatters under way, by bucket. */
  private readonly reducing: (Pending | undefined)[] = [];
  private readonly gathering: (Pending | undefined)[] = [];
  private current = { rate: 0, count: 1, step: 0 };
  private readonly tracer: Tracer;
  /** Time at which each bucket was full, for the trace. */
  private readonly full: number[] = [];

  private readonly kernels: OptimiserKernels;

  constructor(private readonly options: ShardedOptimiserOptions) {
    const { parameters, weights, communicator, config, overlap = false } = options;
    this.kernels = loadOptimisers(communicator.memory);
    this.slots = parameters.slots;
    this.noNorms = Norms.none(this.slots.length);
    this.tracer = options.tracer ?? noTracer;
    this.optimiser = createOptimiser(config.optimizer);
    const { bucketBytes, bitwise } = config.distributed;
    const needsNorms = this.optimiser.layerwise || config.optimizer.clipNorm !== undefined;
    const sameForAll = bitwise !== undefined && needsNorms;
    this.buckets = planBuckets(this.slots, {
      ...{ bucketBytes, overlap: overlap || sameForAll },
      frozen: FrozenParts.leading(parameters),
    });
    this.frozen = new FrozenParts(parameters, this.buckets);
    this.gathersAfter = planGathers(this.buckets);
    this.gradients = communicator.allocate(parameters.length);
    this.state = new UpdateState({
      ...{ communicator, config, buckets: this.buckets, frozen: this.frozen, rule: this.optimiser, weights },
      scratch: this.gradients,
    });
    this.microBatches = new MicroBatchSums(communicator, this.state.buckets);
    this.own = this.state.buckets.map((bucket) => this.planUpdate(bucket));
    this.measure = needsNorms ? this.planMeasure() : undefined;
  }

  /** Sets the input of the next update, before its first bucket. */
  begin({ rate, count = 1 }: UpdateInput): void {
    if (!this.hasBegun) this.state.averageFrozen();
    this.hasBegun = true;
    this.current = { rate, count, step: this.state.updates + 1 };
  }

  /** Sends bucket `index`, whose gradients are complete; the last bucket first, and each once an update. */
  reduce(index: number): void {
    this.send(index);
    if (this.measure) return;
    for (const gather of this.gathersAfter[index]) this.updateAndGather(gather, 1 / this.current.count);
  }

  /** Ends a micro-batch before the last one whose gradients are summed over the ranks by themselves. */
  async keep(): Promise<void> {
    for (let index = this.own.length - 1; index >= 0; index--) this.send(index);
    for (let index = this.own.length - 1; index >= 0; index--) {
      if (this.frozen.hasAllOf(index)) continue;
      await this.reducing[index]?.wait();
      this.microBatches.keep(this.kernels, this.gradients, index);
    }
  }

  /** Starts the rest of the update, once every bucket is sent. */
  async update(): Promise<void> {
    if (this.measure) await this.updateByNorms();
    this.state.updates = this.current.step;
  }

  /** Blocks until the weights of bucket `index` are those of the last update. */
  waitFor(index: number): void {
    const gather = this.gathering[index];
    if (!gather) return;
    gather.waitSync();
    this.gathered(index);
  }

  /** Resolves once all weights are those of the last update. */
  async complete(): Promise<void> {
    for (const [index, gather] of this.gathering.entries()) {
      if (!gather) continue;
      await gather.wait();
      this.gathered(index);
    }
  }

  /**
   * Finds the cause of a failure of the communication thread: `GRADIENT_NOT_FINITE` with the parameter and the step, on
   * the rank whose shard holds it; every other error is returned as it is.
   */
  explain(error: unknown): unknown {
    if (codeOf(error) !== 'NOT_FINITE') return error;
    const broken = this.own.findLast(({ shard }) => this.firstNonFinite(shard) >= 0);
    return broken ? this.notFinite(broken.shard) : error;
  }

  /** Ends an epoch: residuals of compression on all ranks are summed into the shards that they belong to. */
  async settle(): Promise<void> {
    await this.complete();
    await this.state.feedback.settle();
  }

  private planUpdate(bucket: ShardedBucket): Bucket {
    const segments = this.segmentsOf(bucket.shard, this.state.arrays, bucket.stateOffset);
    const region = this.options.communicator.allocate(KernelProgram.sizeOf(2 + 3 * segments.length));
    return { ...bucket, segments, program: new KernelProgram(region) };
  }

  private planMeasure(): NormMeasure {
    const { kernels, buckets } = this;
    const { communicator, config } = this.options;
    return new NormMeasure({
      ...{ communicator, kernels, buckets },
      parameters: this.slots.length,
      ofWeights: this.optimiser.layerwise,
      segmentsOf: (range) => this.segmentsOf(range),
      cut: cutOf(config, communicator),
    });
  }

  private segmentsOf(range: Range, state: readonly Float32Array[] = [], stateOffset = 0): Segment[] {
    const { slots, gradients } = this;
    const { weights, config } = this.options;
    const { layerwise } = this.optimiser;
    const { skipDecay } = config.optimizer;
    const { groups } = this.options.parameters;
    return segmentsOf(range, stateOffset, { slots, weights, gradients, state, layerwise, skipDecay, groups });
  }

  private send(index: number): void {
    if (this.frozen.hasAllOf(index)) return;
    this.frozen.clear(this.gradients, index);
    const { start, end } = this.buckets[index];
    this.full[index] = this.tracer.now();
    const { communicator, overlap } = this.options;
    const values = this.gradients.subarray(start, end);
    const options = { tag: `gradients/${index}`, lane: index, ...this.state.feedback.wireOf(index) };
    if (overlap) this.reducing[index] = communicator.startReduceScatter(values, options);
    else communicator.reduceScatterSync(values, options);
  }

  /** Lets the communication thread update and gather a bucket that needs no norms. */
  private updateAndGather(index: number, scale: number): void {
    if (this.frozen.hasAllOf(index)) return;
    const { program, segments } = this.own[index];
    program.begin();
    this.addKept(program, index);
    for (const { gradients } of segments) program.requireFinite(gradients);
    this.gather(index, scale, this.noNorms);
  }

  /** Adds the residuals and micro-batches kept for a bucket to its summed gradients. */
  private addKept(kernels: ValueKernels, index: number): void {
    this.state.feedback.addTo(kernels, this.gradients, index);
    this.microBatches.addTo(kernels, this.gradients, index);
  }

  private async updateByNorms(): Promise<void> {
    const { config } = this.options;
    const { count } = this.current;
    const measure = this.measure as NormMeasure;
    measure.begin();
    for (let index = this.own.length - 1; index >= 0; index--) {
      await this.reducing[index]?.wait();
      this.addKept(this.kernels, index);
      if (!measure.add(index)) throw this.notFinite(this.own[index].shard);
    }
    const norms = await measure.reduce();
    const scale = clipScale(norms.total / count, config.optimizer.clipNorm) / count;
    this.own.forEach(({ program }, index) => {
      if (this.frozen.hasAllOf(index)) return;
      program.begin();
      this.gather(index, scale, norms);
    });
  }

  private gather(index: number, scale: number, norms: Norms): void {
    const { communicator, weights, overlap } = this.options;
    const { rate, step } = this.current;
    const { start, end, program, segments } = this.own[index];
    const share = this.state.averageShare(step);
    for (const segment of segments) {
      const about = { rate: rate * segment.factor, step, scale, norms: norms.of(segment.parameter) };
      this.optimiser.update(program, segment, about);
      if (share !== undefined) this.state.moveAverage(program, segment, share);
    }
    const values = weights.subarray(start, end);
    const options = { tag: `weights/${index}`, lane: index, before: program };
    if (overlap) {
      this.gathering[index] = communicator.startAllGather(values, options);
    } else {
      communicator.allGatherSync(values, options);
      this.gathered(index);
    }
  }

  private gathered(index: number): void {
    const { start, end } = this.buckets[index];
    this.gathering[index] = undefined;
    this.tracer.span('buckets', `bucket ${index}`, this.full[index], { bytes: 4 * (end - start) });
  }

  private firstNonFinite({ start, end }: Range): number {
    return this.kernels.firstNonFinite(this.gradients.subarray(start, end));
  }

  private notFinite(shard: Range): PodDistError {
    const at = shard.start + this.firstNonFinite(shard);
    const slot = this.slots.find(({ offset, size }) => at >= offset && at < offset + size) as Slot;
    return new PodDistError(
      'GRADIENT_NOT_FINITE',
      `the gradient of ${slot.name}, element ${at - slot.offset}, is ${this.gradients[at]} in step ${this.current.step - 1}: ` +
        'lower learningRate.rate, or look for broken images',
    );
  }
}
