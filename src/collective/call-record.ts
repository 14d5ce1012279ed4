import { elementTypes, kinds, ops } from '../transport/wire.js';
import type { Command } from './channel.js';
import type { Watched } from './watchdog.js';

const tagAt = 64;
const tagBytes = 64;

/** Bytes of shared memory of a `CallRecord`. */
export const recordBytes = tagAt + tagBytes;

const begunAt = 0;
const endedAt = 1;
const countAt = 2;
const waitingForAt = 3;

/**
 * The call that the compute thread carries out itself, in shared memory: the communication thread watches it,
 * since the other one is blocked.
 */
export class CallRecord implements Watched {
  private readonly words: Int32Array;
  private readonly buffer: Buffer;

  /** @param start byte offset in `control` */
  constructor(control: SharedArrayBuffer, start: number) {
    this.words = new Int32Array(control, start, tagAt / 4);
    this.buffer = Buffer.from(control as unknown as ArrayBuffer, start, recordBytes);
  }

  begin({ sequence, kind, type, op, length, timeoutMs, tag }: Command): void {
    const { buffer } = this;
    buffer.writeDoubleLE(timeoutMs, 16);
    buffer.writeDoubleLE(length, 24);
    buffer[32] = elementTypes.indexOf(type);
    buffer[33] = ops.indexOf(op);
    buffer[34] = buffer.write(tag, tagAt, tagBytes);
    buffer[35] = kinds.indexOf(kind);
    Atomics.store(this.words, begunAt, sequence);
  }

  /** Called with the rank that is waited for. */
  waitFor(rank: number): void {
    Atomics.store(this.words, waitingForAt, rank);
  }

  end(): void {
    Atomics.add(this.words, countAt, 1);
    Atomics.store(this.words, endedAt, Atomics.load(this.words, begunAt));
  }

  /** Number of the last call that was begun; 0: none. */
  get begun(): number {
    return Atomics.load(this.words, begunAt);
  }

  get busy(): boolean {
    return this.begun !== Atomics.load(this.words, endedAt);
  }

  /** Calls done so far. */
  get completed(): number {
    return Atomics.load(this.words, countAt);
  }

  get waitingFor(): number {
    return Atomics.load(this.words, waitingForAt);
  }

  /** The call under way, as a command without what its watcher does not need. */
  get running(): Command | undefined {
    if (!this.busy) return undefined;
    const { buffer } = this;
    return {
      sequence: this.begun,
      kind: kinds[buffer[35]],
      type: elementTypes[buffer[32]],
      op: ops[buffer[33]],
      wire: 'float32',
      root: 0,
      timeoutMs: buffer.readDoubleLE(16),
      offset: 0,
      residual: 0,
      before: 0,
      length: buffer.readDoubleLE(24),
      tag: Buffer.from(buffer.subarray(tagAt, tagAt + buffer[34])).toString('utf8'),
      site: '',
      offsets: [],
    };
  }
}
