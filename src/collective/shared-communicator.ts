import { PodDistError } from '../util/errors.js';
import { noTracer, streamThreads, type Tracer, type TraceSpan } from '../trace/tracer.js';
import { algorithms } from './algorithms/index.js';
import { allocate, type Arena } from './arena.js';
import { BlockingCollectives } from './blocking-collectives.js';
import { callSite } from './call-site.js';
import { Channel, communicatorClosed, type Command } from './channel.js';
import {
  shardRange,
  type CollectiveOptions,
  type Communicator,
  type GatherOptions,
  type Numbers,
  type Pending,
  type Witness,
  type WrittenCalls,
} from './communicator.js';
import type { Connections } from './engine.js';
import type { Thresholds } from './selection.js';
import { Staging } from './staging.js';
import { streamOf, streams, urgent } from './streams.js';
import { WaitClock } from './wait-clock.js';
import type { KeptFiles } from '../transport/host/kept-file.js';
import type { ElementType, Kind } from '../transport/wire.js';

/** The engine ends a collective at its deadline; the compute thread waits this much longer for its error. */
const graceMs = 2000;

interface SharedCommunicatorOptions {
  arena: Arena;
  rank: number;
  worldSize: number;
  /** Default deadline of one collective. */
  timeoutMs: number;
  thresholds: Thresholds;
  /** Whether to record where in the program each collective is called. */
  recordSites?: boolean;
  /** Records when the compute thread waits; default: no tracing. */
  tracer?: Tracer;
}

/** Algorithms that the compute thread can carry out itself. */
const blockingAlgorithms: readonly string[] = ['auto', 'one-shot', 'two-shot'];

/** Form of a call: blocking, or awaited. */
interface Face {
  blocking: boolean;
}
const awaited: Face = { blocking: false };
const blocking: Face = { blocking: true };

/** A collective under way, and how to bring its result back to the caller's array. */
interface Call {
  channel: Channel;
  number: number;
  /** Details for the trace. */
  about: TraceSpan['details'];
  deadline: number;
  finish(): void;
}

/** The compute thread's side of the engine in the communication thread. */
export class SharedCommunicator implements Communicator {
  readonly rank: number;
  readonly worldSize: number;
  withinHost = false;
  kept: KeptFiles | undefined;
  witness: Witness | undefined;
  /** Channels by stream. */
  private readonly channels: readonly Channel[];
  /** Number of calls so far. */
  private calls = 0;
  private closed = false;
  private readonly staging: Staging;
  private readonly clock: WaitClock;
  private readonly tracer: Tracer;
  private direct: BlockingCollectives | undefined;
  private algorithm = '';

  constructor(private readonly options: SharedCommunicatorOptions) {
    this.rank = options.rank;
    this.worldSize = options.worldSize;
    this.staging = new Staging(options.arena);
    this.channels = streams.map((_, stream) => new Channel(options.arena.control, stream));
    this.tracer = options.tracer ?? noTracer;
    this.clock = new WaitClock(this.tracer);
    if (options.recordSites) process.setSourceMapsEnabled(true);
  }

  /** Takes over the connections of the communication thread; the same on all ranks. */
  async connected({ withinHost, kept, direct, generation, hosts }: Connections): Promise<void> {
    const { arena, rank, thresholds } = this.options;
    this.withinHost = withinHost;
    this.kept = kept;
    if (!direct || !blockingAlgorithms.includes(thresholds.algorithm ?? 'auto')) return;
    this.direct = await BlockingCollectives.create(direct, {
      arena,
      rank,
      generation,
      hosts,
      thresholds,
      throwIfFailed: () => this.channels[urgent].throwIfFailed(),
      fail: (error) => this.channels.forEach((channel) => channel.fail(error)),
    });
  }

  /** Name of the algorithm that has carried out the last collective that was waited for; empty before the first. */
  get lastAlgorithm(): string {
    return this.algorithm;
  }

  get waitedMs(): number {
    return this.clock.total;
  }

  allocate(length: number): Float32Array {
    this.throwIfOver();
    const { arena } = this.options;
    return new Float32Array(arena.memory.buffer, allocate(arena, length * 4), length);
  }

  get memory(): WebAssembly.Memory {
    return this.options.arena.memory;
  }

  async allReduce(values: Numbers, options?: CollectiveOptions): Promise<void> {
    await this.wait(this.start(awaited, 'allReduce', values, options));
  }

  allReduceSync(values: Numbers, options?: CollectiveOptions): void {
    this.runSync('allReduce', values, options);
  }

  async reduceScatter<T extends Numbers>(values: T, options?: CollectiveOptions): Promise<T> {
    await this.wait(this.start(awaited, 'reduceScatter', values, options));
    return this.shardOf(values);
  }

  reduceScatterSync<T extends Numbers>(values: T, options?: CollectiveOptions): T {
    this.runSync('reduceScatter', values, options);
    return this.shardOf(values);
  }

  async allGather(values: Numbers, options?: GatherOptions): Promise<void> {
    await this.wait(this.start(awaited, 'allGather', values, options));
  }

  allGatherSync(values: Numbers, options?: GatherOptions): void {
    this.runSync('allGather', values, options);
  }

  startReduceScatter(values: Float32Array, options?: CollectiveOptions): Pending {
    return this.pending(this.start(awaited, 'reduceScatter', values, options));
  }

  startAllGather(values: Float32Array, options?: GatherOptions): Pending {
    return this.pending(this.start(awaited, 'allGather', values, options));
  }

  async broadcast(values: Numbers, root: number, options?: CollectiveOptions): Promise<void> {
    await this.wait(this.start(awaited, 'broadcast', values, options, root));
  }

  broadcastSync(values: Numbers, root: number, options?: CollectiveOptions): void {
    this.runSync('broadcast', values, options, root);
  }

  async shift(values: Float32Array, options?: CollectiveOptions): Promise<void> {
    await this.wait(this.start(awaited, 'shift', values, options));
  }

  startShift(values: Float32Array, options?: CollectiveOptions): Pending {
    return this.pending(this.start(awaited, 'shift', values, options));
  }

  async barrier(options?: CollectiveOptions): Promise<void> {
    await this.wait(this.start(awaited, 'barrier', new Float32Array(0), options));
  }

  barrierSync(options?: CollectiveOptions): void {
    this.runSync('barrier', new Float32Array(0), options);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.direct?.close();
    for (const channel of this.channels) channel.close();
  }

  private start(face: Face, kind: Kind, values: Numbers, options: GatherOptions = {}, root = 0): Call {
    this.throwIfOver();
    const residual = options.wire === 'bf16' ? this.residualOf(kind, values, options) : 0;
    const { offset, finish } = this.staging.place(values);
    const stream = this.streamOf(face, values, options.lane);
    const named = { kind, tag: options.tag ?? kind };
    const command: Command = { ...this.command(values, options, offset), ...named, root, residual };
    const { sequence, timeoutMs, tag } = command;
    const channel = this.channels[stream];
    const number = channel.submit(command);
    this.calls = sequence;
    const about = { for: `${kind} ${tag}`, collective: sequence, stream };
    return { channel, number, about, deadline: timeoutMs + graceMs, finish };
  }

  /** The next collective of the program. */
  private command(values: Numbers, options: GatherOptions, offset: number): Omit<Command, 'kind' | 'tag'> {
    const { op = 'sum', wire = 'float32', timeoutMs = this.options.timeoutMs } = options;
    return {
      sequence: this.calls + 1,
      type: typeOf(values),
      op,
      wire,
      root: 0,
      timeoutMs,
      offset,
      residual: 0,
      before: options.before?.offset ?? 0,
      length: values.length,
      site: this.options.recordSites ? callSite() : '',
      offsets: options.offsets ?? [],
    };
  }

  /** Channels may serve a later communicator by now. A failure in one stream is in all of them. */
  private throwIfOver(): void {
    if (this.closed) throw communicatorClosed();
    this.channels[urgent].throwIfOver();
  }

  private streamOf(face: Face, values: Numbers, lane = 0): number {
    return streamOf({ ...face, lane, bytes: values.byteLength }, this.options.thresholds);
  }

  private runSync(kind: Kind, values: Numbers, options: GatherOptions = {}, root = 0): void {
    const witness = kind === 'allReduce' ? this.witness : undefined;
    witness?.(values, 'given');
    const { direct } = this;
    if (direct?.carriesOut(kind) && options.wire !== 'bf16')
      this.runDirectly(direct, kind, values, options, root);
    else this.waitSync(this.start(blocking, kind, values, options, root));
    witness?.(values, 'result');
  }

  private runDirectly(
    direct: BlockingCollectives,
    kind: Kind,
    values: Numbers,
    options: GatherOptions,
    root: number,
  ): void {
    this.throwIfOver();
    const { offset, finish } = this.staging.place(values);
    const command = { ...this.command(values, options, offset), kind, tag: options.tag ?? kind, root };
    const { sequence, tag } = command;
    this.calls = sequence;
    if (options.before) this.runBefore(direct, options.before, tag);
    const details = { collective: sequence, stream: urgent };
    const began = this.tracer.now();
    this.clock.begin();
    try {
      this.algorithm = direct.run(command).name;
    } finally {
      this.clock.end({ for: `${kind} ${tag}`, ...details });
    }
    this.tracer.span(streamThreads[urgent], `${kind} ${tag}`, began, {
      ...details,
      bytes: values.byteLength,
      algorithm: this.algorithm,
    });
    finish();
  }

  private runBefore(direct: BlockingCollectives, { offset }: WrittenCalls, tag: string): void {
    const began = this.tracer.now();
    direct.kernels.run(offset);
    this.tracer.span('compute', `update ${tag}`, began);
  }

  /** Checks that a call may travel as bf16; returns where its residuals lie. */
  private residualOf(kind: Kind, values: Numbers, { op = 'sum', residual }: CollectiveOptions): number {
    const reducing = kind === 'allReduce' || kind === 'reduceScatter';
    if (!reducing || op !== 'sum' || !(values instanceof Float32Array))
      throw new PodDistError(
        'WIRE_UNSUPPORTED',
        `bf16 on the wire is for sums of float32 in an all-reduce or reduce-scatter, not for a ${kind} (${op})`,
      );
    const inArena = (residual?.buffer as ArrayBufferLike) === this.options.arena.memory.buffer;
    if (!residual || !inArena || residual.length !== values.length)
      throw new PodDistError(
        'WIRE_UNSUPPORTED',
        'bf16 on the wire needs a residual from Communicator.allocate, as long as the values',
      );
    return residual.byteOffset;
  }

  /** Handle of a call under way; waiting for a call that is over returns at once. */
  private pending(call: Call): Pending {
    const isOver = () => call.channel.completed - call.number >= 0;
    return {
      wait: async () => (isOver() ? this.finish(call) : this.wait(call)),
      waitSync: () => (isOver() ? this.finish(call) : this.waitSync(call)),
      get over() {
        return isOver();
      },
    };
  }

  private finish({ channel, finish }: Call): void {
    this.algorithm = algorithms[channel.lastAlgorithm].name;
    finish();
  }

  private waitSync(call: Call): void {
    const { channel, number, about, deadline } = call;
    this.clock.begin();
    try {
      channel.waitSync(number, deadline);
    } finally {
      this.clock.end(about);
    }
    this.finish(call);
  }

  private async wait(call: Call): Promise<void> {
    const { channel, number, about, deadline } = call;
    await Promise.resolve();
    this.clock.begin();
    try {
      await channel.wait(number, deadline);
    } finally {
      this.clock.end(about);
    }
    this.finish(call);
  }

  private shardOf<T extends Numbers>(values: T): T {
    const [start, end] = shardRange(values.length, this.rank, this.worldSize);
    return values.subarray(start, end) as T;
  }
}

function typeOf(values: Numbers): ElementType {
  return values instanceof Float64Array ? 'float64' : 'float32';
}
