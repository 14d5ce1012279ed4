import { allocate, arenaBytes, createArena, type Arena } from './arena.js';
import type { Communicator, Numbers } from './communicator.js';
import { loadKernels } from './kernels/index.js';
import type { OptimiserKernels } from './kernels/optimisers.js';

/** The communicator of a job of one rank: every collective is the identity. */
export class LocalCommunicator implements Communicator {
  readonly rank = 0;
  readonly worldSize = 1;
  readonly waitedMs = 0;

  private readonly arena: Arena = createArena({ bytes: arenaBytes, controlBytes: 0 });

  allocate(length: number): Float32Array {
    return new Float32Array(this.arena.memory.buffer, allocate(this.arena, length * 4), length);
  }

  async loadOptimisers(): Promise<OptimiserKernels> {
    return (await loadKernels(this.arena.memory)).optimisers;
  }

  async allReduce(): Promise<void> {}
  allReduceSync(): void {}

  async reduceScatter<T extends Numbers>(values: T): Promise<T> {
    return values;
  }

  reduceScatterSync<T extends Numbers>(values: T): T {
    return values;
  }

  async allGather(): Promise<void> {}
  allGatherSync(): void {}
  async broadcast(): Promise<void> {}
  broadcastSync(): void {}
  async barrier(): Promise<void> {}
  barrierSync(): void {}
  async close(): Promise<void> {}
}
