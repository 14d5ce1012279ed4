import { PodDistError } from '../util/errors.js';

/** Address space of an arena: as much as WebAssembly has. Memory is used only as far as it is written. */
export const arenaBytes = 2 ** 32 - 2 ** 17;

const page = 65_536;
/** Addresses below this are left to the kernels' own module. */
const firstOffset = page;
const alignment = 64;

/**
 * The memory that compute and communication threads share: one WebAssembly memory for numbers, one buffer for
 * commands. It may be posted to a worker thread as it is.
 *
 * The size is reserved, not used: the system gives pages as they are first written.
 */
export interface Arena {
  readonly memory: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
  /** BigUint64 [1]: the first free byte. */
  readonly allocated: SharedArrayBuffer;
  readonly bytes: number;
}

/** Reserves an arena of up to `bytes` (at most 4 GiB - 64 KiB), or of less where the system does not give as much. */
export function createArena({ bytes, controlBytes }: { bytes: number; controlBytes: number }): Arena {
  for (
    let pages = Math.min(Math.ceil(bytes / page) + 1, 65_535);
    pages >= 64;
    pages = Math.floor(pages / 2)
  ) {
    try {
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      const allocated = new SharedArrayBuffer(8);
      new BigUint64Array(allocated)[0] = BigInt(firstOffset);
      return { memory, control: new SharedArrayBuffer(controlBytes), allocated, bytes: pages * page };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  throw new PodDistError(
    'OUT_OF_MEMORY',
    'cannot reserve 4 MiB of shared memory: free memory or raise the limit of the process',
  );
}

/**
 * Gives all of the arena back, filled with zeros as at first, and clears its commands. Call it only when no memory taken
 * from it is in use.
 */
export function resetArena(arena: Arena): void {
  const allocated = new BigUint64Array(arena.allocated);
  new Uint8Array(arena.control).fill(0);
  new Uint8Array(arena.memory.buffer).fill(0, firstOffset, Number(Atomics.load(allocated, 0)));
  Atomics.store(allocated, 0, BigInt(firstOffset));
}

/**
 * Takes `bytes` from the arena, 64-byte aligned, until `resetArena`; returns their offset. Any thread may
 * call it.
 */
export function allocate(arena: Arena, bytes: number): number {
  const next = new BigUint64Array(arena.allocated);
  const size = Math.ceil(bytes / alignment) * alignment;
  const offset = Number(Atomics.add(next, 0, BigInt(size)));
  if (offset + size > arena.bytes) {
    Atomics.sub(next, 0, BigInt(size));
    throw new PodDistError(
      'OUT_OF_MEMORY',
      `the communication arena of ${arena.bytes} bytes is full: ${bytes} more do not fit`,
    );
  }
  return offset;
}
