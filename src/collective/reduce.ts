/**
 * Combines received values with those in the arena, element by element, by a kernel of WebAssembly. The kernel reads the
 * arena alone: a payload that lies elsewhere passes through scratch memory, a block at a time.
 */
import { giveBack } from '../transport/buffers.js';
import type { Command } from './channel.js';
import type { Kernels } from './kernels.js';
import { pairwise, slotsFor, sumInto } from './pairwise.js';

/** Received payloads are added from here, a block at a time, so that the block stays in the CPU's cache. */
export const scratchBytes = 131_072;

/** The arena, its kernels, and the offset of `scratchBytes` in it. */
export interface ReduceMemory {
  bytes: Uint8Array;
  kernels: Kernels;
  scratch: number;
}

type Operation = Pick<Command, 'type' | 'op'>;

/** Combines a payload into the arena at `target`. */
export function reduceInto(
  { bytes, scratch, kernels }: ReduceMemory,
  { type, op }: Operation,
  target: number,
  payload: Uint8Array,
): void {
  const kernel = kernels.reduce[type][op];
  if (payload.buffer === bytes.buffer) return kernel(target, payload.byteOffset, payload.length);
  for (let done = 0; done < payload.length; done += scratchBytes) {
    const size = Math.min(scratchBytes, payload.length - done);
    bytes.set(size === payload.length ? payload : payload.subarray(done, done + size), scratch);
    kernel(target + done, scratch, size);
  }
}

/**
 * Combines two payloads or more in pairs (`pairwise.ts`), and the result into the arena at `target`; frees those that lie
 * elsewhere. Payloads in the arena are changed.
 */
export function reduceInPairs(
  { bytes, scratch, kernels }: ReduceMemory,
  { type, op }: Operation,
  target: number,
  payloads: readonly Uint8Array[],
): void {
  const kernel = kernels.reduce[type][op];
  const { length } = payloads[0];
  if (payloads.every(({ buffer }) => buffer === bytes.buffer)) {
    const add = (to: number, from: number) => {
      kernel(to, from, length);
      return to;
    };
    const sum = pairwise(
      payloads.map(({ byteOffset }) => byteOffset),
      add,
    );
    return kernel(target, sum as number, length);
  }
  const block = 64 * Math.floor(scratchBytes / 64 / slotsFor(payloads.length));
  const at = (slot: number) => scratch + slot * block;
  for (let done = 0; done < length; done += block) {
    const size = Math.min(block, length - done);
    const load = (payload: Uint8Array, slot: number) =>
      bytes.set(payload.subarray(done, done + size), at(slot));
    sumInto({ load, add: (to, from) => kernel(at(to), at(from), size) }, payloads);
    kernel(target + done, at(0), size);
  }
  for (const payload of payloads) giveBack(payload);
}
