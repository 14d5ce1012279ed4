import { PodDistError } from '../util/errors.js';
import { noTracer, streamThreads, type Tracer, type TraceSpan } from '../trace/tracer.js';
import { allocate, type Arena } from './arena.js';
import { callSite } from './call-site.js';
import { Channel, type Command } from './channel.js';
import {
  shardRange,
  type CollectiveOptions,
  type Communicator,
  type GatherOptions,
  type Numbers,
  type Pending,
} from './communicator.js';
import type { Connections } from './engine.js';
import { loadKernels } from './kernels/index.js';
import type { OptimiserKernels } from './kernels/optimisers.js';
import type { KernelProgram } from './kernels/program.js';
import type { Thresholds } from './selection.js';
import { Staging } from './staging.js';
import { streamOf, streams, urgent } from './streams.js';
import { WaitClock } from './wait-clock.js';
import type { ElementType, Kind } from './wire.js';
import { DirectCollectives } from './within-host/direct-collectives.js';
import type { DirectKind } from './within-host/record.js';

/** The engine ends a collective at its deadline; the compute thread gives it this much longer to say so. */
const graceMs = 2000;

interface SharedCommunicatorOptions {
  arena: Arena;
  rank: number;
  worldSize: number;
  /** Default deadline of one collective. */
  timeoutMs: number;
  thresholds: Pick<Thresholds, 'urgentBytes' | 'pipeBytes'>;
  /** Notes where in the program each collective is called. */
  recordSites?: boolean;
  /** Told when the compute thread waits; default: nobody is. */
  tracer?: Tracer;
}

/** Which of its two faces an operation is called by. */
interface Face {
  blocking: boolean;
}
const awaited: Face = { blocking: false };
const blocking: Face = { blocking: true };

/** A collective under way, and how to bring its result back to the caller's array. */
interface Call {
  channel: Channel;
  number: number;
  /** For the trace. */
  about: TraceSpan['details'];
  deadline: number;
  finish(): void;
}

/** The compute thread's face of the engine in the communication thread. */
export class SharedCommunicator implements Communicator {
  readonly rank: number;
  readonly worldSize: number;
  withinHost = false;
  /** By stream. */
  private readonly channels: readonly Channel[];
  /** Calls so far. */
  private calls = 0;
  private readonly staging: Staging;
  private readonly clock: WaitClock;
  private readonly tracer: Tracer;
  private direct: DirectCollectives | undefined;

  constructor(private readonly options: SharedCommunicatorOptions) {
    this.rank = options.rank;
    this.worldSize = options.worldSize;
    this.staging = new Staging(options.arena);
    this.channels = streams.map((_, stream) => new Channel(options.arena.control, stream));
    this.tracer = options.tracer ?? noTracer;
    this.clock = new WaitClock(this.tracer);
    if (options.recordSites) process.setSourceMapsEnabled(true);
  }

  /** Takes up what the communication thread has connected; the same on all ranks. */
  async connected({ withinHost, direct }: Connections): Promise<void> {
    this.withinHost = withinHost;
    if (!direct) return;
    this.direct = await DirectCollectives.create(direct, {
      arena: this.options.arena,
      rank: this.rank,
      pipeBytes: this.options.thresholds.pipeBytes,
      throwIfFailed: () => this.channels[urgent].throwIfFailed(),
      fail: (error) => this.channels.forEach((channel) => channel.fail(error)),
    });
  }

  get waitedMs(): number {
    return this.clock.total;
  }

  allocate(length: number): Float32Array {
    const { arena } = this.options;
    return new Float32Array(arena.memory.buffer, allocate(arena, length * 4), length);
  }

  async loadOptimisers(): Promise<OptimiserKernels> {
    return (await loadKernels(this.options.arena.memory)).optimisers;
  }

  allReduce(values: Numbers, options?: CollectiveOptions): Promise<void> {
    return this.wait(this.start(awaited, 'allReduce', values, options));
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

  allGather(values: Numbers, options?: GatherOptions): Promise<void> {
    return this.wait(this.start(awaited, 'allGather', values, options));
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

  broadcast(values: Numbers, root: number, options?: CollectiveOptions): Promise<void> {
    return this.wait(this.start(awaited, 'broadcast', values, options, root));
  }

  broadcastSync(values: Numbers, root: number, options?: CollectiveOptions): void {
    this.waitSync(this.start(blocking, 'broadcast', values, options, root));
  }

  barrier(options?: CollectiveOptions): Promise<void> {
    return this.wait(this.start(awaited, 'barrier', new Float32Array(0), options));
  }

  barrierSync(options?: CollectiveOptions): void {
    this.waitSync(this.start(blocking, 'barrier', new Float32Array(0), options));
  }

  async close(): Promise<void> {
    for (const channel of this.channels) channel.close();
  }

  private start(face: Face, kind: Kind, values: Numbers, options: GatherOptions = {}, root = 0): Call {
    const residual = options.wire === 'bf16' ? this.residualOf(kind, values, options) : 0;
    const { offset, finish } = this.staging.place(values);
    const timeoutMs = options.timeoutMs ?? this.options.timeoutMs;
    const stream = this.streamOf(face, values);
    const sequence = this.calls + 1;
    const command: Command = {
      sequence,
      kind,
      type: typeOf(values),
      op: options.op ?? 'sum',
      wire: options.wire ?? 'float32',
      root,
      timeoutMs,
      offset,
      residual,
      program: options.program?.offset ?? 0,
      length: values.length,
      tag: options.tag ?? kind,
      site: this.options.recordSites ? callSite() : '',
      offsets: options.offsets ?? [],
    };
    const channel = this.channels[stream];
    const number = channel.submit(command);
    this.calls = sequence;
    const about = { for: `${kind} ${command.tag}`, collective: sequence, stream };
    return { channel, number, about, deadline: timeoutMs + graceMs, finish };
  }

  private streamOf(face: Face, values: Numbers): number {
    return streamOf({ ...face, bytes: values.byteLength }, this.options.thresholds.urgentBytes);
  }

  private runSync(kind: DirectKind, values: Numbers, options: GatherOptions = {}): void {
    if (this.direct?.takes(kind, values.byteLength) && options.wire !== 'bf16')
      this.runDirectly(this.direct, kind, values, options);
    else this.waitSync(this.start(blocking, kind, values, options));
  }

  private runDirectly(
    direct: DirectCollectives,
    kind: DirectKind,
    values: Numbers,
    options: GatherOptions,
  ): void {
    const { op = 'sum', tag = kind, timeoutMs = this.options.timeoutMs, program, offsets } = options;
    const sequence = ++this.calls;
    const details = { collective: sequence, stream: urgent };
    if (program) this.runProgram(direct, program, tag);
    const began = this.tracer.now();
    this.clock.begin();
    try {
      const { length } = values;
      direct.run(values, { sequence, kind, type: typeOf(values), op, length, timeoutMs, tag }, offsets);
    } finally {
      this.clock.end({ for: `${kind} ${tag}`, ...details });
    }
    this.tracer.span(streamThreads[urgent], `${kind} ${tag}`, began, {
      ...details,
      bytes: values.byteLength,
    });
  }

  private runProgram(direct: DirectCollectives, { offset }: KernelProgram, tag: string): void {
    const began = this.tracer.now();
    direct.runProgram(offset);
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

  /** What is over already is not waited for. */
  private pending(call: Call): Pending {
    const isOver = () => call.channel.completed - call.number >= 0;
    return {
      wait: async () => (isOver() ? call.finish() : this.wait(call)),
      waitSync: () => (isOver() ? call.finish() : this.waitSync(call)),
    };
  }

  private waitSync({ channel, number, about, deadline, finish }: Call): void {
    this.clock.begin();
    try {
      channel.waitSync(number, deadline);
    } finally {
      this.clock.end(about);
    }
    finish();
  }

  private async wait({ channel, number, about, deadline, finish }: Call): Promise<void> {
    await Promise.resolve();
    this.clock.begin();
    try {
      await channel.wait(number, deadline);
    } finally {
      this.clock.end(about);
    }
    finish();
  }

  private shardOf<T extends Numbers>(values: T): T {
    const [start, end] = shardRange(values.length, this.rank, this.worldSize);
    return values.subarray(start, end) as T;
  }
}

function typeOf(values: Numbers): ElementType {
  return values instanceof Float64Array ? 'float64' : 'float32';
}
