import { readSync, writeSync } from 'node:fs';
import { PodDistError } from '../../errors.js';
import { allocate, type Arena } from '../arena.js';
import { shardRange, type Numbers, type ReduceOp } from '../communicator.js';
import type { Kernels } from '../kernels/index.js';
import type { ElementType } from '../wire.js';
import type { Messages } from './messages.js';
import { windowBytes } from './shared-files.js';

interface WindowsOptions {
  arena: Arena;
  kernels: Kernels;
  /** Descriptors of every rank's file. */
  files: readonly number[];
}

/**
 * All-reduce of many values through files in memory that the ranks of a host share, window by window of 1 MiB.
 *
 * Of each window a rank owns a part. It writes the others' parts to its own file and says so; reads its own part from
 * all files, combines the N in rank order (bitwise equal everywhere), writes the result to its file and says so; and reads
 * the others' results. Messages a rank sends: 2 (N - 1) a window, without payload; bytes: 2 (N - 1)/N S read, S written.
 * Values pass from memory to memory twice without a thread between them, and a window stays in the processor's cache.
 *
 * Windows take turns in the two halves of a file. Why a half is free when its turn comes: a rank begins window k + 2 when
 * it has every rank's second message of window k + 1, and a rank sends that after it has read all of window k. The turns
 * go on from call to call.
 */
export class Windows {
  private readonly sum: number;
  private readonly scratch: number;
  private readonly memory: Buffer;
  private turn = 0;

  constructor(
    private readonly messages: Messages,
    private readonly options: WindowsOptions,
  ) {
    const { arena } = options;
    const bytes = Math.ceil(windowBytes / messages.worldSize) + 8;
    this.sum = allocate(arena, bytes);
    this.scratch = allocate(arena, bytes);
    this.memory = Buffer.from(arena.memory.buffer);
  }

  allReduce(values: Numbers, type: ElementType, op: ReduceOp): void {
    const step = windowBytes / values.BYTES_PER_ELEMENT;
    for (let start = 0; start < values.length; start += step)
      this.window(values.subarray(start, start + step), type, op);
  }

  private window(values: Numbers, type: ElementType, op: ReduceOp): void {
    const { messages, sum, scratch, memory } = this;
    const { rank, worldSize } = messages;
    const combine = this.options.kernels.reduce[type][op];
    const bytes = Buffer.from(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
    const half = (this.turn++ & 1) * windowBytes;
    const partOf = (owner: number): [start: number, end: number] => {
      const [start, end] = shardRange(values.length, owner, worldSize);
      return [start * values.BYTES_PER_ELEMENT, end * values.BYTES_PER_ELEMENT];
    };
    const [start, end] = partOf(rank);
    const own = this.options.files[rank];
    const part = memory.subarray(sum, sum + end - start);

    writeAll(own, bytes.subarray(0, start), half);
    writeAll(own, bytes.subarray(end), half + end);
    messages.send();
    for (let peer = 0; peer < worldSize; peer++) {
      const target = peer === 0 ? sum : scratch;
      const into = memory.subarray(target, target + end - start);
      if (peer !== rank) {
        messages.receive(peer);
        this.readAll(peer, into, half + start);
      } else into.set(bytes.subarray(start, end));
      if (peer !== 0) combine(sum, scratch, end - start);
    }
    writeAll(own, part, half + start);
    messages.send();
    bytes.set(part, start);
    for (let peer = 0; peer < worldSize; peer++) {
      if (peer === rank) continue;
      messages.receive(peer);
      const [first, last] = partOf(peer);
      this.readAll(peer, bytes.subarray(first, last), half + first);
    }
  }

  private readAll(peer: number, into: Uint8Array, position: number): void {
    for (let done = 0; done < into.length;) {
      const got = readSync(this.options.files[peer], into, done, into.length - done, position + done);
      if (got === 0)
        throw new PodDistError('COLLECTIVE_FAILED', `the shared file of rank ${peer} has been cut short`);
      done += got;
    }
  }
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;)
    done += writeSync(file, bytes, done, bytes.length - done, position + done);
}
