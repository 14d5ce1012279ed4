import { readSync, writeSync } from 'node:fs';
import { PodDistError } from '../../util/errors.js';
import { allocate, type Arena } from '../arena.js';
import { shardRange, type Numbers, type ReduceOp } from '../communicator.js';
import type { Kernels } from '../kernels/index.js';
import { siblings, slotsFor, sumInto } from '../pairwise.js';
import type { ElementType } from '../wire.js';
import type { Messages } from './messages.js';
import { windowBytes } from './shared-files.js';

interface WindowsOptions {
  arena: Arena;
  kernels: Kernels;
  /** Descriptors of every rank's file. */
  files: readonly number[];
}

/** A range of bytes: [start, end). */
type Bytes = readonly [start: number, end: number];

/**
 * Collectives of many values through files in memory that the ranks of a host share, in rounds.
 *
 *     reduce-scatter   a rank writes a piece of every other's part to its own file and says so, reads the pieces of its
 *                      own part from all files and combines the N in pairs (`pairwise.ts`)
 *     all-gather       a rank writes a piece of its part and says so, and reads the others' pieces
 *     all-reduce       both, window by window of 1 MiB, which stays in the processor's cache: bitwise equal everywhere
 *
 * A piece is 1 MiB / N in the first, 1 MiB in the second. Messages a rank sends: N - 1 a round, without payload. Bytes:
 * (N - 1)/N S written and as many read; S/N written and (N - 1)/N S read. Values pass from memory to memory twice without
 * a thread between them.
 *
 * Rounds take turns in the two halves of a file. Why a half is free when its turn comes: a rank begins round k + 2 when
 * it has every rank's message of round k + 1, and a rank sends that after it has read all of round k. The turns go on
 * from call to call.
 */
export class Windows {
  /** Of a part, in a reduce-scatter. */
  private readonly pieceBytes: number;
  private readonly groups: readonly (readonly number[])[];
  private readonly sum: number;
  private readonly scratch: readonly number[];
  private readonly memory: Buffer;
  private turn = 0;

  constructor(
    private readonly messages: Messages,
    private readonly options: WindowsOptions,
  ) {
    const { arena } = options;
    this.pieceBytes = 8 * Math.floor(windowBytes / messages.worldSize / 8);
    this.sum = allocate(arena, this.pieceBytes);
    this.groups = siblings(messages.rank, messages.worldSize);
    const slots = Math.max(0, ...this.groups.map(({ length }) => slotsFor(length)));
    this.scratch = Array.from({ length: slots }, () => allocate(arena, this.pieceBytes));
    this.memory = Buffer.from(arena.memory.buffer);
  }

  allReduce(values: Numbers, type: ElementType, op: ReduceOp): void {
    const step = (this.messages.worldSize * this.pieceBytes) / values.BYTES_PER_ELEMENT;
    for (let start = 0; start < values.length; start += step) {
      const window = values.subarray(start, start + step);
      this.reduceScatter(window, type, op);
      this.allGather(window);
    }
  }

  /** In the values' place, where that is in the arena. */
  reduceScatter(values: Numbers, type: ElementType, op: ReduceOp): void {
    const { messages, pieceBytes, sum, scratch, memory } = this;
    const { arena, kernels } = this.options;
    const { rank, worldSize } = messages;
    const combine = kernels.reduce[type][op];
    const bytes = bytesOf(values);
    const inPlace = (bytes.buffer as ArrayBufferLike) === arena.memory.buffer;
    this.rounds(partsOf(values, worldSize), pieceBytes, (half, pieceOf) => {
      for (let owner = 0; owner < worldSize; owner++)
        if (owner !== rank) this.write(bytes.subarray(...pieceOf(owner)), half + owner * pieceBytes);
      messages.send();
      const own = bytes.subarray(...pieceOf(rank));
      const target = inPlace ? own.byteOffset : sum;
      if (!inPlace) memory.set(own, sum);
      const load = (peer: number, slot: number) =>
        this.read(peer, memory.subarray(scratch[slot], scratch[slot] + own.length), half + rank * pieceBytes);
      const add = (to: number, from: number) => combine(scratch[to], scratch[from], own.length);
      for (const group of this.groups) {
        sumInto({ load, add }, group);
        combine(target, scratch[0], own.length);
      }
      if (!inPlace) own.set(memory.subarray(sum, sum + own.length));
    });
  }

  /** @param offsets where ranks' parts begin and end, in elements; default: `shardRange`'s */
  allGather(values: Numbers, offsets?: readonly number[]): void {
    const { messages } = this;
    const { rank, worldSize } = messages;
    const bytes = bytesOf(values);
    this.rounds(partsOf(values, worldSize, offsets), windowBytes, (half, pieceOf) => {
      this.write(bytes.subarray(...pieceOf(rank)), half);
      messages.send();
      for (let peer = 0; peer < worldSize; peer++)
        if (peer !== rank) this.read(peer, bytes.subarray(...pieceOf(peer)), half);
    });
  }

  /** Goes through the longest part piece by piece, and through the others beside it; once where all are empty. */
  private rounds(
    parts: readonly Bytes[],
    pieceBytes: number,
    work: (half: number, pieceOf: (owner: number) => Bytes) => void,
  ): void {
    const longest = Math.max(...parts.map(([start, end]) => end - start));
    for (let at = 0; at === 0 || at < longest; at += pieceBytes) {
      const half = (this.turn++ & 1) * windowBytes;
      work(half, (owner) => {
        const [start, end] = parts[owner];
        return [Math.min(start + at, end), Math.min(start + at + pieceBytes, end)];
      });
    }
  }

  private write(bytes: Uint8Array, position: number): void {
    const file = this.options.files[this.messages.rank];
    for (let done = 0; done < bytes.length;)
      done += writeSync(file, bytes, done, bytes.length - done, position + done);
  }

  /** Reads what a peer has written, once it says so. */
  private read(peer: number, into: Uint8Array, position: number): void {
    this.messages.receive(peer);
    for (let done = 0; done < into.length;) {
      const got = readSync(this.options.files[peer], into, done, into.length - done, position + done);
      if (got === 0)
        throw new PodDistError('COLLECTIVE_FAILED', `the shared file of rank ${peer} has been cut short`);
      done += got;
    }
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Numbers): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** Ranks' parts of the values. */
function partsOf(values: Numbers, worldSize: number, offsets?: readonly number[]): Bytes[] {
  const { length, BYTES_PER_ELEMENT: size } = values;
  return Array.from({ length: worldSize }, (_, rank) => {
    const [start, end] = offsets ? [offsets[rank], offsets[rank + 1]] : shardRange(length, rank, worldSize);
    return [start * size, end * size];
  });
}
