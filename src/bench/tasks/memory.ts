import type { Communicator } from '../../collective/communicator.js';

export interface MemoryTask {
  bytes: number;
  /** All-reduces between two readings. */
  rounds: number;
}

let values: Float32Array | undefined;

/** Reduces one region again and again; returns the process's resident bytes afterwards. */
export async function memory(communicator: Communicator, { bytes, rounds }: MemoryTask): Promise<number> {
  values ??= communicator.allocate(bytes / 4);
  for (let round = 0; round < rounds; round++) {
    values.fill(1);
    communicator.allReduceSync(values, { tag: 'memory' });
  }
  return process.memoryUsage.rss();
}
