import type { Communicator, Numbers, Witness } from '../collective/communicator.js';
import { PodDistError } from '../util/errors.js';

/** Longest array that is looked at: sums of losses and of batch norm, which every step has on every rank. */
const mostNumbers = 4096;
/** Steps that are remembered at most. */
const mostSteps = 10_000;

/**
 * Finds the rank whose processor or memory is at fault. Each rank remembers, as 32 bits each, what it has given to the small
 * collectives of a step, and their results. Where a step is made again from the same state, by as many ranks, it must give
 * the same as long as it gets the same. A rank that would not ends the run before it gives it, so that the others see
 * nothing of the difference. Where several ranks do so at once, weights differ that are equal on all of them: then the fault
 * lies in an earlier gradient, and the coordinator names no rank.
 */
export class Contributions {
  /** Digests of each step, in order. */
  private readonly known = new Map<number, Uint32Array>();
  private place = '';
  private current: number[] = [];
  /** Whether this rank has got another result than before, so that it cannot give the same any more. */
  private misled = false;

  /** Begins with a group. A rank of another number, or among more or fewer, gives other values: it remembers nothing. */
  begin(rank: number, worldSize: number): void {
    const place = `${rank} of ${worldSize}`;
    if (place !== this.place) this.known.clear();
    this.place = place;
    this.misled = false;
  }

  /**
   * Runs a part of a step; `key` numbers it in the run.
   *
   * @throws PodDistError `SILENT_CORRUPTION` where this rank would give other values than before
   */
  async during<T>(communicator: Communicator, key: number, run: () => Promise<T>): Promise<T> {
    const before = this.known.get(key);
    this.current = [];
    communicator.witness = (values, is) => this.compare(values, is, before);
    try {
      return await run();
    } finally {
      communicator.witness = undefined;
      if (!before) this.remember(key);
    }
  }

  private compare(values: Numbers, is: Parameters<Witness>[1], before: Uint32Array | undefined): void {
    if (values.length > mostNumbers) return;
    const digest = digestOf(values);
    const index = this.current.push(digest) - 1;
    if (this.misled || before === undefined || index >= before.length || before[index] === digest) return;
    if (is === 'result') this.misled = true;
    else
      throw new PodDistError(
        'SILENT_CORRUPTION',
        'it has come to other values in a step that was made again from the same state: its processor or memory is at fault',
      );
  }

  private remember(key: number): void {
    this.known.set(key, Uint32Array.from(this.current));
    for (const oldest of this.known.keys()) {
      if (this.known.size <= mostSteps) return;
      this.known.delete(oldest);
    }
  }
}

/** 32 bits of the bytes of an array: FNV-1a over its words. */
function digestOf(values: Numbers): number {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.byteLength >>> 2);
  let digest = 0x811c9dc5;
  for (const word of words) digest = Math.imul(digest ^ word, 0x01000193);
  return digest >>> 0;
}
