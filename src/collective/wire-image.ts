import { allocate, type Arena } from './arena.js';

/** Room for the values of a compressed collective as they travel; one a stream, which serves them one by one. */
export class WireImage {
  private offset = 0;
  private bytes = 0;

  constructor(private readonly arena: Arena) {}

  /** Offset of two bytes for each of `elements` values. */
  offsetFor(elements: number): number {
    const bytes = 2 ** Math.ceil(Math.log2(elements * 2));
    if (bytes > this.bytes) {
      this.offset = allocate(this.arena, bytes);
      this.bytes = bytes;
    }
    return this.offset;
  }
}
