import { allocate, type Arena } from './arena.js';

/** Bytes that one phase of a collective may take from the send region; a collective has at most three phases. */
export const quota = { exchange: 1024 * 1024, reduceScatter: 512 * 1024, allGather: 256 * 1024 } as const;

const alignment = 64;
const smallestBlock = 1024 * 1024;

/** Part of the arena. */
interface Block {
  offset: number;
  bytes: number;
}

/**
 * Two send regions, used in turns by the collectives of a stream. Payloads sent from here need no acknowledgement
 * before the caller may change its values again.
 *
 * Why a region is free when its turn comes: within a stream a collective ends on a rank only after every rank has
 * begun it, and a rank begins one only after it has received all of the one before. So when a rank has finished its
 * collective k + 1, all ranks have received what it sent in collective k, and k + 2 may write over it.
 *
 * An algorithm that sends from here whatever its payload is finds more room in blocks, which a region gets when it first
 * needs them and keeps.
 */
export class SendStage {
  /** Blocks of the two regions. */
  private readonly regions: readonly [Block[], Block[]];
  /** Those of the running collective, and where in them the next payload may begin. */
  private blocks: Block[] = [];
  private block = 0;
  private next = 0;

  /** @param largest bytes of the longest collective of the stream */
  constructor(
    private readonly arena: Arena,
    { largest, worldSize }: { largest: number; worldSize: number },
  ) {
    const phases = Object.values(quota).map((bytes) => Math.min(bytes, largest) + worldSize * alignment);
    const bytes = phases.reduce((sum, phase) => sum + phase, 0);
    this.regions = [[{ offset: allocate(arena, bytes), bytes }], [{ offset: allocate(arena, bytes), bytes }]];
  }

  /** Begins the stream's `count`-th collective. */
  turn(count: number): void {
    this.blocks = this.regions[count & 1];
    this.block = 0;
    this.next = this.blocks[0].offset;
  }

  /** Takes `bytes` for the running collective; returns their offset in the arena. */
  take(bytes: number): number {
    const { blocks } = this;
    const taken = Math.ceil(bytes / alignment) * alignment;
    while (this.next + taken > blocks[this.block].offset + blocks[this.block].bytes) {
      if (++this.block === blocks.length) blocks.push(this.newBlock(taken));
      this.next = blocks[this.block].offset;
    }
    this.next += taken;
    return this.next - taken;
  }

  private newBlock(atLeast: number): Block {
    const bytes = Math.max(smallestBlock, 2 ** Math.ceil(Math.log2(atLeast)));
    return { offset: allocate(this.arena, bytes), bytes };
  }
}
