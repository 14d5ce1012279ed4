import { createCipheriv, createDecipheriv } from 'node:crypto';
import { PodDistError } from '../util/errors.js';
import { giveBack } from './buffers.js';
import { directionName, type Connection, type Message } from './connection.js';

const algorithm = 'aes-256-gcm';
const tagBytes = 16;
const nonceBytes = 12;

interface SealOptions {
  rank: number;
  /** False: payloads travel as they are, and are protected from changes alone. */
  encrypted: boolean;
  /** 32 bytes for one direction of this one connection, which no other connection ever uses. */
  keyOf(direction: string): Buffer;
}

/**
 * Seals the messages of another connection with AES-256-GCM (NIST SP 800-38D).
 *
 * Each direction has a key of its own and counts its messages; the count is the nonce, so that no nonce serves twice
 * under a key, and a message that is changed, repeated, left out or moved does not open. The header travels in the clear
 * as additional data, and of a connection that is authenticated only the payload too. A tag of 16 bytes follows the
 * header.
 */
export class SealedConnection implements Connection {
  readonly peer: number;
  readonly stream: number;
  private readonly outgoing: Direction;
  private readonly incoming: Direction;
  private ahead: { sealed: Message; opened: Message } | undefined;

  constructor(
    private readonly inner: Connection,
    { rank, encrypted, keyOf }: SealOptions,
  ) {
    const { peer, stream } = inner;
    this.peer = peer;
    this.stream = stream;
    this.outgoing = new Direction(keyOf(directionName(rank, peer, stream)), encrypted);
    this.incoming = new Direction(keyOf(directionName(peer, rank, stream)), encrypted);
  }

  send(header: Uint8Array, payload: Uint8Array): void {
    const sealed = this.outgoing.seal({ header, payload });
    this.inner.send(sealed.header, sealed.payload);
  }

  async receive(bytes: number): Promise<Message> {
    const sealed = await this.inner.receive(bytes);
    const { ahead } = this;
    this.ahead = undefined;
    return ahead?.sealed === sealed ? ahead.opened : this.open(sealed);
  }

  look(): Message | undefined {
    const sealed = this.inner.look();
    if (!sealed) return undefined;
    if (this.ahead?.sealed !== sealed) this.ahead = { sealed, opened: this.open(sealed) };
    return this.ahead.opened;
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  private open(sealed: Message): Message {
    const message = this.incoming.open(sealed);
    if (message) return message;
    throw new PodDistError(
      'PROTOCOL_ERROR',
      `a message from rank ${this.peer} was changed, repeated or lost on its way, or is somebody else's`,
    );
  }
}

/** One direction: its key, and how many messages have passed. */
class Direction {
  private readonly nonce = Buffer.alloc(nonceBytes);
  private count = 0n;

  constructor(
    private readonly key: Buffer,
    private readonly encrypted: boolean,
  ) {}

  seal({ header, payload }: Message): Message {
    const cipher = createCipheriv(algorithm, this.key, this.next());
    cipher.setAAD(header);
    if (!this.encrypted) cipher.setAAD(payload);
    const sealed = this.encrypted && payload.length > 0 ? cipher.update(payload) : payload;
    cipher.final();
    return { header: Buffer.concat([header, cipher.getAuthTag()]), payload: sealed };
  }

  /** The message; undefined where it is not the one that was sealed next. */
  open({ header: sealed, payload }: Message): Message | undefined {
    const length = sealed.length - tagBytes;
    if (length < 0) return undefined;
    const header = sealed.subarray(0, length);
    const decipher = createDecipheriv(algorithm, this.key, this.next());
    decipher.setAuthTag(sealed.subarray(length));
    decipher.setAAD(header);
    if (!this.encrypted) decipher.setAAD(payload);
    const opened = this.encrypted && payload.length > 0 ? decipher.update(payload) : payload;
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    if (opened !== payload) giveBack(payload);
    return { header, payload: opened };
  }

  private next(): Buffer {
    this.nonce.writeBigUInt64BE(this.count++, nonceBytes - 8);
    return this.nonce;
  }
}
