import type { ErrorCode } from '../util/error-codes.js';
import { codeOf, messageOf, PodDistError, errorOfCode } from '../util/errors.js';
import type { ReduceOp, WireType } from './communicator.js';
import { streams } from './streams.js';
import { elementTypes, kinds, ops, wireTypes, type ElementType, type Kind } from '../transport/wire.js';

/** One collective, as the compute thread submits it; offsets and lengths within the arena. */
export interface Command {
  /** Counts the collectives of the program, over all streams, from 1. */
  sequence: number;
  kind: Kind;
  type: ElementType;
  op: ReduceOp;
  wire: WireType;
  root: number;
  timeoutMs: number;
  /** Byte offset of the values in the arena. */
  offset: number;
  /** Byte offset of the residuals of a compressed call; 0: none. */
  residual: number;
  /** Byte offset of calls of kernels that are made before the collective; 0: none. */
  before: number;
  /** Elements. */
  length: number;
  tag: string;
  /** Place in the program where it was called, in one line; empty: not recorded. */
  site: string;
  /** Part boundaries of an all-gather, in elements, [worldSize + 1]; empty: the shards of `shardRange`. */
  offsets: readonly number[];
}

const slots = 128;
const slotBytes = 4096;
const tagBytes = 64;
const siteBytes = 256;
const errorBytes = 4096;
const stateBytes = 64;
const offsetsAt = 64 + tagBytes + siteBytes;
const maxOffsets = (slotBytes - offsetsAt) / 8;

const channelBytes = stateBytes + errorBytes + slots * slotBytes;
/** Bytes of the channels of all streams. */
export const channelsBytes = streams.length * channelBytes;

/** Milliseconds of one wait that count towards a deadline, at most: a longer wait means that the job was suspended. */
const longestWaitMs = 1000;

const submittedAt = 0;
const completedAt = 1;
const failedAt = 2;
const closedAt = 3;
const failingAt = 4;
const algorithmAt = 5;

/**
 * Commands of one stream from the compute thread to the communication thread, in shared memory.
 *
 * A ring of 128 slots with two counters, `submitted` and `completed`. The compute thread fills a slot, raises
 * `submitted` and may go on computing; the communication thread serves the slots in order and raises `completed`.
 * Either side sleeps on the other's counter. A failure is final: its code and message are written once, and every
 * later wait throws it. Closing is final too: no later command is taken, and no wait lasts.
 */
export class Channel {
  private readonly state: Int32Array;
  private readonly buffer: Buffer;

  constructor(control: SharedArrayBuffer, stream: number) {
    const start = stream * channelBytes;
    this.state = new Int32Array(control, start, stateBytes / 4);
    this.buffer = Buffer.from(control as unknown as ArrayBuffer, start, channelBytes);
  }

  /** Puts a command into the ring; returns its number for the waits. */
  submit(command: Command): number {
    this.throwIfOver();
    const submitted = Atomics.load(this.state, submittedAt);
    if (submitted - Atomics.load(this.state, completedAt) >= slots) {
      throw new PodDistError(
        'COLLECTIVE_MISMATCH',
        `more than ${slots} collectives in flight: await some of them first`,
      );
    }
    if (command.offsets.length > maxOffsets) {
      throw new PodDistError(
        'COLLECTIVE_MISMATCH',
        `an all-gather over ${command.offsets.length - 1} ranks: at most ${maxOffsets - 1}`,
      );
    }
    this.write(submitted % slots, command);
    Atomics.add(this.state, submittedAt, 1);
    Atomics.notify(this.state, submittedAt);
    return submitted + 1;
  }

  /** Blocks the thread until command `number` is done. */
  waitSync(number: number, timeoutMs: number): void {
    for (let waited = 0; ;) {
      const completed = Atomics.load(this.state, completedAt);
      if (completed - number >= 0) return;
      this.throwIfOver();
      const left = Math.min(timeoutMs - waited, longestWaitMs);
      if (left <= 0) throw this.late(timeoutMs);
      const began = performance.now();
      Atomics.wait(this.state, completedAt, completed, left);
      waited += Math.min(performance.now() - began, left);
    }
  }

  /** Resolves when command `number` is done. */
  async wait(number: number, timeoutMs: number): Promise<void> {
    for (let waited = 0; ;) {
      const completed = Atomics.load(this.state, completedAt);
      if (completed - number >= 0) return;
      this.throwIfOver();
      const left = Math.min(timeoutMs - waited, longestWaitMs);
      if (left <= 0) throw this.late(timeoutMs);
      const began = performance.now();
      const waiting = Atomics.waitAsync(this.state, completedAt, completed, left);
      if (waiting.async) await keepingAlive(waiting.value, left);
      waited += Math.min(performance.now() - began, left);
    }
  }

  /** The next command to serve; undefined once the channel is closed. */
  async next(): Promise<Command | undefined> {
    for (;;) {
      const submitted = Atomics.load(this.state, submittedAt);
      const completed = Atomics.load(this.state, completedAt);
      if (Atomics.load(this.state, closedAt) !== 0 || this.failed) return undefined;
      if (submitted !== completed) return this.read(completed % slots);
      const waiting = Atomics.waitAsync(this.state, submittedAt, submitted);
      if (waiting.async) await waiting.value;
    }
  }

  /**
   * Marks the command that `next` gave as done.
   *
   * @param algorithm place of the algorithm that has carried it out
   */
  complete(algorithm: number): void {
    Atomics.store(this.state, algorithmAt, algorithm);
    Atomics.add(this.state, completedAt, 1);
    Atomics.notify(this.state, completedAt);
  }

  /** Fails every wait, now and later; the first failure counts. */
  fail(error: unknown): void {
    if (Atomics.compareExchange(this.state, failingAt, 0, 1) !== 0) return;
    const text = Buffer.from(JSON.stringify([codeOf(error), messageOf(error).slice(0, 1000)]));
    text.copy(this.buffer, stateBytes + 4);
    this.buffer.writeUInt32LE(text.length, stateBytes);
    Atomics.store(this.state, failedAt, 1);
    Atomics.notify(this.state, completedAt);
    Atomics.notify(this.state, submittedAt);
  }

  /** Ends every wait, now and later, with `COMMUNICATOR_CLOSED`, unless it has failed before. */
  close(): void {
    Atomics.store(this.state, closedAt, 1);
    Atomics.notify(this.state, submittedAt);
    Atomics.notify(this.state, completedAt);
  }

  get failed(): boolean {
    return Atomics.load(this.state, failedAt) !== 0;
  }

  /** Whether the compute thread has collectives in flight. */
  get busy(): boolean {
    return Atomics.load(this.state, submittedAt) !== Atomics.load(this.state, completedAt);
  }

  /** Place of the algorithm that has carried out the last command. */
  get lastAlgorithm(): number {
    return Atomics.load(this.state, algorithmAt);
  }

  /** Collectives done so far. */
  get completed(): number {
    return Atomics.load(this.state, completedAt);
  }

  private late(timeoutMs: number): PodDistError {
    return new PodDistError(
      'COLLECTIVE_TIMEOUT',
      `the communication thread did not answer within ${timeoutMs / 1000} s`,
    );
  }

  /** Throws the reason why no command is served any more: the failure, or that the channel is closed. */
  throwIfOver(): void {
    this.throwIfFailed();
    if (Atomics.load(this.state, closedAt) !== 0) throw communicatorClosed();
  }

  /** Throws the failure where there is one. */
  throwIfFailed(): void {
    if (!this.failed) return;
    const length = this.buffer.readUInt32LE(stateBytes);
    const text = Buffer.from(this.buffer.subarray(stateBytes + 4, stateBytes + 4 + length)).toString('utf8');
    const [code, message] = JSON.parse(text) as [ErrorCode, string];
    throw errorOfCode(code, message);
  }

  private write(slot: number, command: Command): void {
    const start = stateBytes + errorBytes + slot * slotBytes;
    const { buffer } = this;
    buffer[start] = kinds.indexOf(command.kind);
    buffer[start + 1] = elementTypes.indexOf(command.type);
    buffer[start + 2] = ops.indexOf(command.op);
    buffer[start + 3] = wireTypes.indexOf(command.wire);
    buffer.writeUInt32LE(command.root, start + 4);
    buffer.writeDoubleLE(command.timeoutMs, start + 8);
    buffer.writeDoubleLE(command.offset, start + 16);
    buffer.writeDoubleLE(command.length, start + 24);
    const tag = Buffer.from(command.tag).subarray(0, tagBytes);
    buffer.writeUInt32LE(tag.length, start + 32);
    buffer.writeUInt32LE(command.offsets.length, start + 36);
    tag.copy(buffer, start + 64);
    const site = Buffer.from(command.site).subarray(0, siteBytes);
    buffer.writeUInt32LE(site.length, start + 40);
    buffer.writeUInt32LE(command.sequence, start + 44);
    buffer.writeDoubleLE(command.residual, start + 48);
    buffer.writeDoubleLE(command.before, start + 56);
    site.copy(buffer, start + 64 + tagBytes);
    command.offsets.forEach((offset, index) => buffer.writeDoubleLE(offset, start + offsetsAt + 8 * index));
  }

  private read(slot: number): Command {
    const start = stateBytes + errorBytes + slot * slotBytes;
    const { buffer } = this;
    const text = (at: number, length: number) =>
      Buffer.from(buffer.subarray(start + at, start + at + length)).toString('utf8');
    const offsets = buffer.readUInt32LE(start + 36);
    return {
      sequence: buffer.readUInt32LE(start + 44),
      kind: kinds[buffer[start]],
      type: elementTypes[buffer[start + 1]],
      op: ops[buffer[start + 2]],
      wire: wireTypes[buffer[start + 3]],
      root: buffer.readUInt32LE(start + 4),
      timeoutMs: buffer.readDoubleLE(start + 8),
      offset: buffer.readDoubleLE(start + 16),
      residual: buffer.readDoubleLE(start + 48),
      before: buffer.readDoubleLE(start + 56),
      length: buffer.readDoubleLE(start + 24),
      tag: text(64, buffer.readUInt32LE(start + 32)),
      site: text(64 + tagBytes, buffer.readUInt32LE(start + 40)),
      offsets: Array.from({ length: offsets }, (_, index) =>
        buffer.readDoubleLE(start + offsetsAt + 8 * index),
      ),
    };
  }
}

/** Awaits with a timer, since `Atomics.waitAsync` alone does not keep a process from ending. */
async function keepingAlive(waiting: Promise<unknown>, milliseconds: number): Promise<void> {
  const timer = setTimeout(() => {}, milliseconds);
  try {
    await waiting;
  } finally {
    clearTimeout(timer);
  }
}

/** The error that every call on a closed communicator throws. */
export function communicatorClosed(): PodDistError {
  return new PodDistError(
    'COMMUNICATOR_CLOSED',
    'the communicator is closed: no collective can run on it any more',
  );
}
