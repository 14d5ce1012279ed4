import { allocate, type Arena } from './arena.js';
import type { Numbers } from './communicator.js';

/** A region of the arena through which values from elsewhere are copied in and out. */
interface Region {
  offset: number;
  bytes: number;
  taken: boolean;
}

/** Place of values in the arena while a collective works on them. */
export interface Placed {
  offset: number;
  /** Brings the result back to the caller's array. */
  finish(): void;
}

/** Places values in the arena: those that lie there stay, others are copied through regions that are used again. */
export class Staging {
  private readonly regions: Region[] = [];

  constructor(private readonly arena: Arena) {}

  place(values: Numbers): Placed {
    const { buffer } = this.arena.memory;
    if ((values.buffer as ArrayBufferLike) === buffer) return { offset: values.byteOffset, finish: () => {} };
    const region = this.take(values.byteLength);
    const Type = values instanceof Float64Array ? Float64Array : Float32Array;
    const staged = new Type(buffer, region.offset, values.length);
    staged.set(values);
    const finish = () => {
      values.set(staged);
      region.taken = false;
    };
    return { offset: region.offset, finish };
  }

  private take(bytes: number): Region {
    const free = this.regions.find((region) => !region.taken && region.bytes >= bytes);
    if (free) {
      free.taken = true;
      return free;
    }
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, 4096)));
    const region = { offset: allocate(this.arena, size), bytes: size, taken: true };
    this.regions.push(region);
    return region;
  }
}
