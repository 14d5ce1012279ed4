import { readSync, writeSync } from 'node:fs';
import { PodDistError } from '../../util/errors.js';
import type { Connection, Message } from '../connection.js';
import { headerBytes, payloadBytesAt } from '../wire.js';
import type { KeptFiles } from './kept-file.js';
import type { PipeEnds } from './pipes.js';
import { readShared, roundBytes, SharedFile } from './shared-file.js';
import { present } from '../../util/present.js';

/** Longest payload that travels in a pipe: two messages of it are less than the 64 KiB that a pipe holds. */
export const inlineBytes = 16_384;

/** Before each payload: the header, and the payload's position in the sender's file or `inline`. */
const prefixBytes = headerBytes + 4;
const inline = 0xffff_ffff;

/** File descriptors of this process that connect the compute threads of one host. */
export interface HostDescriptors {
  pipes: PipeEnds;
  /** Every rank's shared file. */
  files: readonly number[];
  kept: KeptFiles;
  /** File of the memory that all ranks map; undefined where they share none. */
  memory?: number;
}

interface HostOptions {
  rank: number;
  stream: number;
  /** Memory for payloads, which lives as long as the connections; default: the process's own. */
  allocate?(bytes: number): Uint8Array;
  /** Called whenever a wait ends: throws where the group has failed. */
  interrupted(): void;
}

/** Connections of one rank with the others of its host. */
export class HostConnections {
  readonly connections: ReadonlyMap<number, Connection>;
  private readonly file: SharedFile;

  constructor({ pipes, files }: HostDescriptors, options: HostOptions) {
    const { rank } = options;
    this.file = new SharedFile(present(files[rank], 'the own file'));
    const peers = [...files.entries()].filter(([peer]) => peer !== rank);
    this.connections = new Map(
      peers.map(([peer, file]) => [peer, new HostConnection(peer, this.file, { ...options, pipes, file })]),
    );
  }

  readonly connectionWith = (peer: number): Connection => this.connections.get(peer) as Connection;

  /**
   * Begins a round, in which this rank sends every other at most `roundBytes`, a message each, and receives a message of
   * each. It keeps pipes from filling: a rank that sends in round k + 1 has read all of round k.
   */
  beginRound(): void {
    this.file.beginRound();
  }
}

/**
 * Blocking messages from one thread to another of the same host: a prefix and a short payload through a named pipe, or a
 * long payload through a file in memory that the sender writes and the receiver reads. One system call on each side and
 * one thread that wakes, where a thread for communication would wake four. The payload is copied by `send`.
 *
 * A thread that is blocked in a read has no clock: another thread watches it, and writes a byte to the pipe to end the
 * read, once the group has failed.
 */
class HostConnection implements Connection {
  readonly stream: number;
  private readonly outgoing = Buffer.from(new ArrayBuffer(prefixBytes + inlineBytes));
  private readonly incoming: Buffer;
  private long: Uint8Array | undefined;

  constructor(
    readonly peer: number,
    private readonly own: SharedFile,
    private readonly options: HostOptions & { pipes: PipeEnds; file: number },
  ) {
    this.stream = options.stream;
    const { buffer, byteOffset, length } = this.allocate(prefixBytes + inlineBytes);
    this.incoming = Buffer.from(buffer as ArrayBuffer, byteOffset, length);
  }

  send(header: Uint8Array, payload: Uint8Array): void {
    const { outgoing } = this;
    const short = payload.length <= inlineBytes;
    outgoing.set(header);
    outgoing.writeUInt32LE(short ? inline : this.own.write(payload), headerBytes);
    if (short) outgoing.set(payload, prefixBytes);
    const length = prefixBytes + (short ? payload.length : 0);
    const pipe = present(this.options.pipes.outgoing[this.peer], 'the pipe to the peer');
    for (let done = 0; done < length;) done += writeSync(pipe, outgoing, done, length - done);
  }

  /** The payload is valid until the next message of this peer. */
  receive(bytes: number, into?: Uint8Array): Message {
    const { incoming } = this;
    const got = this.read(0, prefixBytes, prefixBytes + (bytes <= inlineBytes ? bytes : 0));
    const header = incoming.subarray(0, headerBytes);
    const length = incoming.readUInt32LE(payloadBytesAt);
    const position = incoming.readUInt32LE(headerBytes);
    if (length > (position === inline ? inlineBytes : roundBytes))
      throw new PodDistError('PROTOCOL_ERROR', `rank ${this.peer} announces a payload of ${length} bytes`);
    if (position === inline) {
      this.read(got, prefixBytes + length, prefixBytes + length);
      return { header, payload: incoming.subarray(prefixBytes, prefixBytes + length) };
    }
    const payload = into?.length === length ? into : this.longBuffer(length).subarray(0, length);
    readShared(this.options.file, payload, position, this.peer);
    return { header, payload };
  }

  look(): undefined {
    return undefined;
  }

  /** Leaves the descriptors open: the thread that has opened them closes them. */
  async close(): Promise<void> {}

  /** Reads the pipe until `incoming` holds at least `least` bytes, of at most `end`; returns how many it holds. */
  private read(start: number, least: number, end: number): number {
    const { pipes, interrupted } = this.options;
    const pipe = present(pipes.incoming[this.peer], 'the pipe of the peer');
    let got = start;
    while (got < least) {
      got += readSync(pipe, this.incoming, got, end - got, null);
      interrupted();
    }
    return got;
  }

  private longBuffer(length: number): Uint8Array {
    if (!this.long || this.long.length < length) this.long = this.allocate(2 ** Math.ceil(Math.log2(length)));
    return this.long;
  }

  private allocate(bytes: number): Uint8Array {
    return this.options.allocate?.(bytes) ?? new Uint8Array(new SharedArrayBuffer(bytes));
  }
}
