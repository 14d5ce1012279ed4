import { runProgram } from '../kernels/program.js';
import { loadProgram, type ArenaKernels } from '../wasm/load.js';
import { allocate, arenaBytes, createArena, type Arena } from './arena.js';
import { communicatorClosed } from './channel.js';
import type {
  CollectiveOptions,
  Communicator,
  GatherOptions,
  Numbers,
  Pending,
  WrittenCalls,
} from './communicator.js';

const over: Pending = { wait: async () => {}, waitSync() {}, over: true };

/**
 * The communicator of a job of one rank: every collective is the identity.
 *
 * @example
 * import { LocalCommunicator } from 'pod-dist';
 *
 * const communicator = new LocalCommunicator();
 * const values = Float32Array.of(1, 2);
 * await communicator.allReduce(values);
 * console.log(values, communicator.worldSize);
 * await communicator.close();
 */
export class LocalCommunicator implements Communicator {
  readonly rank = 0;
  readonly worldSize = 1;
  readonly withinHost = true;
  readonly waitedMs = 0;
  readonly lastAlgorithm = '';

  private kernels: ArenaKernels | undefined;
  private closed = false;
  private readonly arena: Arena = createArena({ bytes: arenaBytes, controlBytes: 0 });

  allocate(length: number): Float32Array {
    this.throwIfClosed();
    return new Float32Array(this.arena.memory.buffer, allocate(this.arena, length * 4), length);
  }

  get memory(): WebAssembly.Memory {
    return this.arena.memory;
  }

  async allReduce(values: Numbers, options?: CollectiveOptions): Promise<void> {
    this.allReduceSync(values, options);
  }

  allReduceSync(_values: Numbers, _options?: CollectiveOptions): void {
    this.throwIfClosed();
  }

  async reduceScatter<T extends Numbers>(values: T, options?: CollectiveOptions): Promise<T> {
    return this.reduceScatterSync(values, options);
  }

  reduceScatterSync<T extends Numbers>(values: T, _options?: CollectiveOptions): T {
    this.throwIfClosed();
    return values;
  }

  async allGather(values: Numbers, options?: GatherOptions): Promise<void> {
    this.allGatherSync(values, options);
  }

  allGatherSync(_values: Numbers, { before }: GatherOptions = {}): void {
    this.throwIfClosed();
    if (before) this.run(before);
  }

  startReduceScatter(_values: Float32Array, _options?: CollectiveOptions): Pending {
    this.throwIfClosed();
    return over;
  }

  startAllGather(values: Float32Array, options?: GatherOptions): Pending {
    this.allGatherSync(values, options);
    return over;
  }

  async broadcast(values: Numbers, root: number, options?: CollectiveOptions): Promise<void> {
    this.broadcastSync(values, root, options);
  }

  broadcastSync(_values: Numbers, _root: number, _options?: CollectiveOptions): void {
    this.throwIfClosed();
  }

  async shift(values: Float32Array, options?: CollectiveOptions): Promise<void> {
    this.startShift(values, options);
  }

  startShift(values: Float32Array, _options?: CollectiveOptions): Pending {
    this.throwIfClosed();
    values.copyWithin(values.length / 2, 0, values.length / 2);
    return over;
  }

  async barrier(options?: CollectiveOptions): Promise<void> {
    this.barrierSync(options);
  }

  barrierSync(_options?: CollectiveOptions): void {
    this.throwIfClosed();
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  private throwIfClosed(): void {
    if (this.closed) throw communicatorClosed();
  }

  private run({ offset }: WrittenCalls): void {
    const { memory } = this.arena;
    this.kernels ??= loadProgram('arena', memory);
    runProgram(memory, offset, this.kernels);
  }
}
