import { allocate, arenaBytes, createArena, type Arena } from './arena.js';
import { PodDistError } from '../util/errors.js';
import type { Communicator, GatherOptions, Numbers, Pending } from './communicator.js';
import { loadKernels, type Kernels } from './kernels/index.js';
import type { OptimiserKernels } from './kernels/optimisers.js';
import type { KernelProgram } from './kernels/program.js';

const over: Pending = { wait: async () => {}, waitSync() {} };

/** The communicator of a job of one rank: every collective is the identity. */
export class LocalCommunicator implements Communicator {
  readonly rank = 0;
  readonly worldSize = 1;
  readonly withinHost = true;
  readonly waitedMs = 0;
  readonly lastAlgorithm = '';

  private kernels: Kernels | undefined;
  private readonly arena: Arena = createArena({ bytes: arenaBytes, controlBytes: 0 });

  allocate(length: number): Float32Array {
    return new Float32Array(this.arena.memory.buffer, allocate(this.arena, length * 4), length);
  }

  async loadOptimisers(): Promise<OptimiserKernels> {
    this.kernels ??= await loadKernels(this.arena.memory);
    return this.kernels.optimisers;
  }

  async allReduce(): Promise<void> {}
  allReduceSync(): void {}

  async reduceScatter<T extends Numbers>(values: T): Promise<T> {
    return values;
  }

  reduceScatterSync<T extends Numbers>(values: T): T {
    return values;
  }

  /** With a program, which needs `loadOptimisers` first, as all three. */
  async allGather(values: Numbers, options?: GatherOptions): Promise<void> {
    this.allGatherSync(values, options);
  }

  allGatherSync(_values: Numbers, { program }: GatherOptions = {}): void {
    if (program) this.run(program);
  }

  startReduceScatter(): Pending {
    return over;
  }

  startAllGather(values: Float32Array, options?: GatherOptions): Pending {
    this.allGatherSync(values, options);
    return over;
  }

  async broadcast(): Promise<void> {}
  broadcastSync(): void {}
  async barrier(): Promise<void> {}
  barrierSync(): void {}
  async close(): Promise<void> {}

  private run(program: KernelProgram): void {
    if (!this.kernels) throw new PodDistError('NOT_LOADED', 'the kernels of a program are not loaded yet');
    this.kernels.run(program.offset);
  }
}
