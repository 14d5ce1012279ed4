import { allocate, type Arena } from './arena.js';
import type { Command } from './channel.js';

/**
 * What compressed collectives keep: for each of them what rounding has taken away so far (error feedback), by tag and
 * region, and one image of the values as they travel, for all.
 */
export class Residuals {
  private readonly offsets = new Map<string, number>();
  private image = { offset: 0, bytes: 0 };

  constructor(private readonly arena: Arena) {}

  /** Offset of a float32 residual for every value of the command; zero at first. */
  residualOf({ kind, tag, offset, length }: Command): number {
    const key = `${kind} ${offset} ${length} ${tag}`;
    const known = this.offsets.get(key);
    if (known !== undefined) return known;
    const residual = allocate(this.arena, length * 4);
    this.offsets.set(key, residual);
    return residual;
  }

  /** Offset of two bytes for every value. The collective that uses it is over before the next one begins. */
  imageOf({ length }: Command): number {
    const bytes = 2 ** Math.ceil(Math.log2(length * 2));
    if (bytes > this.image.bytes) this.image = { offset: allocate(this.arena, bytes), bytes };
    return this.image.offset;
  }
}
