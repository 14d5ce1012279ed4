import { allocate, type Arena } from './arena.js';

/** Bytes that one phase of a collective sends from here, at most; above, some algorithms send values where they lie. */
export const quota = { exchange: 1024 * 1024, reduceScatter: 512 * 1024, allGather: 256 * 1024 } as const;

const alignment = 64;
const smallestBlock = 128 * 1024;

/** Part of the arena. */
interface Block {
  offset: number;
  bytes: number;
}

/**
 * Two send regions, used in turns by the collectives of a stream. Payloads sent from here need no acknowledgement
 * before the caller may change its values again. A region is made of blocks, which it gets when it first needs them.
 *
 * Why a region is free when its turn comes: within a stream a collective ends on a rank only after every rank has
 * begun it, and a rank begins one only after it has received all of the one before. So when a rank has finished its
 * collective k + 1, all ranks have received what it sent in collective k, and k + 2 may write over it.
 */
export class SendStage {
  private readonly regions: readonly [Block[], Block[]] = [[], []];
  /** Blocks of the running collective, and where in them the next payload may begin. */
  private blocks = this.regions[0];
  private block = 0;
  private used = 0;

  constructor(private readonly arena: Arena) {}

  /** Begins the stream's `count`-th collective. */
  turn(count: number): void {
    this.blocks = this.regions[count & 1];
    this.block = 0;
    this.used = 0;
  }

  /** Takes `bytes` for the running collective; returns their offset in the arena. */
  take(bytes: number): number {
    const taken = Math.ceil(bytes / alignment) * alignment;
    for (; ; this.block++, this.used = 0) {
      if (this.block === this.blocks.length) this.blocks.push(this.newBlock(taken));
      const block = this.blocks[this.block];
      if (this.used + taken > block.bytes) continue;
      this.used += taken;
      return block.offset + this.used - taken;
    }
  }

  private newBlock(atLeast: number): Block {
    const bytes = Math.max(smallestBlock, 2 ** Math.ceil(Math.log2(atLeast)));
    return { offset: allocate(this.arena, bytes), bytes };
  }
}
