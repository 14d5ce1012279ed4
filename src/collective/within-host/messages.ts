import { readSync, writeSync } from 'node:fs';
import { urgent } from '../streams.js';
import { checkHeader, encodeHeader, hashTag, headerBytes, type Header } from '../wire.js';
import type { PipeEnds } from './pipes.js';
import type { CallRecord, DirectCall } from './record.js';

/** Longest payload: two messages of it, headers included, are less than the 64 KiB that a pipe holds. */
export const largestPayload = 16_384;

interface MessagesOptions {
  rank: number;
  ends: PipeEnds;
  record: CallRecord;
  /** Throws where the engine has failed. */
  throwIfFailed(): void;
}

/**
 * Messages between the compute threads of one host: a header as every message of a collective has, and a short payload.
 *
 * No write waits, if a rank sends message k + 1 only when it has every rank's message k: a rank that has sent its message
 * k has read all before, so that a pipe never holds more than two.
 *
 * A thread that is blocked in a read has no clock. The communication thread watches it (`watch.ts`); once that has failed
 * the engine it writes to the pipes, and the read ends.
 */
export class Messages {
  readonly rank: number;
  readonly worldSize: number;
  private readonly outgoing = frame();
  private readonly incoming = frame();
  private call: DirectCall | undefined;
  private tag = 0;
  private sent = 0;
  private readonly received: number[];

  constructor(private readonly options: MessagesOptions) {
    this.rank = options.rank;
    this.worldSize = options.ends.incoming.length;
    this.received = new Array<number>(this.worldSize).fill(0);
  }

  /** The messages that follow are this call's. */
  begin(call: DirectCall): void {
    this.call = call;
    this.tag = hashTag(call.tag);
    this.sent = 0;
    this.received.fill(0);
  }

  /** Sends a message to every other rank. */
  send(payload?: Uint8Array): void {
    const bytes = payload?.length ?? 0;
    const message = this.outgoing.subarray(0, headerBytes + bytes);
    message.set(encodeHeader(this.header(this.rank, this.sent++, bytes)));
    if (payload) message.set(payload, headerBytes);
    for (const end of this.options.ends.outgoing) if (end !== 0) write(end, message);
  }

  /** The next message of a peer: its payload of `bytes`, valid until the next message. */
  receive(peer: number, bytes = 0): Buffer {
    const { rank, ends, record, throwIfFailed } = this.options;
    const message = this.incoming.subarray(0, headerBytes + bytes);
    const expected = this.header(peer, this.received[peer]++, bytes);
    record.waitFor(peer);
    for (let got = 0, checked = false; got < message.length;) {
      got += readSync(ends.incoming[peer], message, got, message.length - got, null);
      throwIfFailed();
      if (checked || got < headerBytes) continue;
      checkHeader(message.subarray(0, headerBytes), expected, rank, this.call?.tag ?? '');
      checked = true;
    }
    return message.subarray(headerBytes);
  }

  private header(source: number, chunk: number, bytes: number): Header {
    const { sequence, kind, type, op, length } = this.call as DirectCall;
    const about = { kind, type, op, wire: 'float32', stream: urgent } as const;
    return { ...about, sequence, step: 0, chunk, source, tag: this.tag, elements: length, bytes };
  }
}

/** Memory of its own: the payload in it is aligned. */
function frame(): Buffer {
  return Buffer.from(new ArrayBuffer(headerBytes + largestPayload));
}

function write(end: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(end, bytes, done);
}
