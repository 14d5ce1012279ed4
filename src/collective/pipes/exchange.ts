import { readSync, writeSync } from 'node:fs';
import { messageOf, PodDistError } from '../../errors.js';
import type { Numbers, ReduceOp } from '../communicator.js';
import { urgent } from '../streams.js';
import { checkHeader, encodeHeader, hashTag, headerBytes, type Header } from '../wire.js';
import type { PipeEnds } from './pipes.js';
import type { CallRecord, DirectCall } from './record.js';

/** Two chunks of it, headers included, are less than the 64 KiB that a pipe holds. */
const chunkBytes = 16_384;

interface ExchangeOptions {
  rank: number;
  record: CallRecord;
  /** Throws where the engine has failed. */
  throwIfFailed(): void;
  /** Fails the engine: all later calls, on this rank, throw the error. */
  fail(error: PodDistError): void;
}

/**
 * All-reduces of the compute thread, by itself, over pipes between processes of one host.
 *
 * An exchange as `algorithms/exchange.ts` makes it, chunk by chunk: every rank writes its chunk to every other and adds
 * all N in rank order, so that results are bitwise equal everywhere. Messages a rank sends: (N - 1) C; bytes: (N - 1) S.
 * A hop is one system call on each side and one thread that wakes, where the engine wakes four.
 *
 * No write waits: a rank writes chunk k + 1, of this call or the next, only when it has every rank's chunk k, and a rank
 * that has written its chunk k has read all chunks before. A pipe therefore never holds more than two.
 *
 * The blocked thread has no clock. The communication thread watches it (`watch.ts`); once that has failed the engine it
 * writes to the pipes, and the read ends.
 */
export class PipeExchange {
  private readonly outgoing = frame();
  private readonly incoming = frame();

  constructor(
    private readonly ends: PipeEnds,
    private readonly options: ExchangeOptions,
  ) {}

  allReduce(values: Numbers, call: DirectCall): void {
    const { record, throwIfFailed, fail } = this.options;
    throwIfFailed();
    record.begin(call);
    try {
      const about = { ...call, tagHash: hashTag(call.tag) };
      const step = chunkBytes / values.BYTES_PER_ELEMENT;
      for (let start = 0, chunk = 0; chunk === 0 || start < values.length; start += step, chunk++)
        this.exchange(values.subarray(start, start + step), about, chunk);
    } catch (error) {
      const known =
        error instanceof PodDistError
          ? error
          : new PodDistError('COLLECTIVE_FAILED', messageOf(error), { cause: error });
      fail(known);
      throw known;
    } finally {
      record.end();
    }
  }

  private exchange(part: Numbers, call: DirectCall & { tagHash: number }, chunk: number): void {
    const { rank } = this.options;
    const bytes = part.byteLength;
    const own = this.outgoing;
    own.set(encodeHeader(this.header(call, rank, chunk, bytes)));
    own.set(new Uint8Array(part.buffer, part.byteOffset, bytes), headerBytes);
    for (const end of this.ends.outgoing) if (end !== 0) write(end, own.subarray(0, headerBytes + bytes));
    for (const peer of this.ends.incoming.keys()) {
      const from = peer === rank ? own : this.read(peer, call, chunk, bytes);
      const values =
        part instanceof Float64Array
          ? new Float64Array(from.buffer, headerBytes, part.length)
          : new Float32Array(from.buffer, headerBytes, part.length);
      if (peer === 0) part.set(values);
      else combine[call.op](part, values);
    }
  }

  private read(peer: number, call: DirectCall & { tagHash: number }, chunk: number, bytes: number): Buffer {
    const { rank, record, throwIfFailed } = this.options;
    const into = this.incoming;
    const end = headerBytes + bytes;
    record.waitFor(peer);
    for (let got = 0, checked = false; got < end;) {
      got += readSync(this.ends.incoming[peer], into, got, end - got, null);
      throwIfFailed();
      if (checked || got < headerBytes) continue;
      checkHeader(into.subarray(0, headerBytes), this.header(call, peer, chunk, bytes), rank, call.tag);
      checked = true;
    }
    return into;
  }

  private header(
    { sequence, type, op, length, tagHash }: DirectCall & { tagHash: number },
    source: number,
    chunk: number,
    bytes: number,
  ): Header {
    const about = { kind: 'allReduce', type, op, wire: 'float32', stream: urgent } as const;
    return { ...about, sequence, step: 0, chunk, source, tag: tagHash, elements: length, bytes };
  }
}

/** Combines values into a target, as the kernels of the same name do. */
const combine: Record<ReduceOp, (target: Numbers, values: Numbers) => void> = {
  sum(target, values) {
    for (let index = 0; index < target.length; index++) target[index] += values[index];
  },
  max(target, values) {
    for (let index = 0; index < target.length; index++)
      target[index] = Math.max(target[index], values[index]);
  },
};

/** Memory of its own: its values are aligned. */
function frame(): Buffer {
  return Buffer.from(new ArrayBuffer(headerBytes + chunkBytes));
}

function write(end: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(end, bytes, done);
}
