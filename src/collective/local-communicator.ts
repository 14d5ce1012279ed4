import type { Communicator, Numbers } from './communicator.js';

/** The communicator of a job of one rank: every collective is the identity. */
export class LocalCommunicator implements Communicator {
  readonly rank = 0;
  readonly worldSize = 1;
  readonly waitedMs = 0;

  allocate(length: number): Float32Array {
    return new Float32Array(length);
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
