import { PodDistError } from '../util/errors.js';
import { allocate, type Arena } from './arena.js';

/** Bytes that one phase of a collective may take from the send region; a collective has at most three phases. */
export const quota = { exchange: 1024 * 1024, reduceScatter: 512 * 1024, allGather: 256 * 1024 } as const;

const alignment = 64;

/**
 * Two send regions, used in turns by the collectives of a stream. Payloads sent from here need no acknowledgement
 * before the caller may change its values again.
 *
 * Why a region is free when its turn comes: within a stream a collective ends on a rank only after every rank has
 * begun it, and a rank begins one only after it has received all of the one before. So when a rank has finished its
 * collective k + 1, all ranks have received what it sent in collective k, and k + 2 may write over it.
 */
export class SendStage {
  private readonly regions: readonly [number, number];
  private readonly regionBytes: number;
  private next = 0;
  private end = 0;

  /** @param largest bytes of the longest collective of the stream */
  constructor(arena: Arena, { largest, worldSize }: { largest: number; worldSize: number }) {
    const phases = Object.values(quota).map((bytes) => Math.min(bytes, largest) + worldSize * alignment);
    this.regionBytes = phases.reduce((sum, bytes) => sum + bytes, 0);
    this.regions = [allocate(arena, this.regionBytes), allocate(arena, this.regionBytes)];
  }

  /** Begins the stream's `count`-th collective. */
  turn(count: number): void {
    this.next = this.regions[count & 1];
    this.end = this.next + this.regionBytes;
  }

  /** Takes `bytes` for the running collective; returns their offset in the arena. */
  take(bytes: number): number {
    const offset = this.next;
    this.next += Math.ceil(bytes / alignment) * alignment;
    if (this.next > this.end) {
      throw new PodDistError('COLLECTIVE_FAILED', `the send region of ${this.regionBytes} bytes is full`);
    }
    return offset;
  }
}
