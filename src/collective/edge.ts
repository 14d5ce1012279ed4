import type * as zmq from 'zeromq';
import { encodeHeader, type Header } from './wire.js';

/** A message between two ranks: its header frame and its payload. */
export interface Message {
  header: Buffer;
  payload: Buffer;
}

/** A message that is received before anybody asks for it. */
interface Ahead {
  coming: Promise<Message>;
  message?: Message;
}

/**
 * What connects this rank with one peer in one stream: a connection for each direction, each served by an I/O thread of
 * its own, so that sending and receiving do not wait for each other.
 */
export class Edge {
  private ahead: Ahead | undefined;
  private sending: Promise<void> = Promise.resolve();
  private underWay = 0;

  constructor(
    readonly peer: number,
    readonly stream: number,
    readonly outgoing: zmq.Pair,
    readonly incoming: zmq.Pair,
    /** Told why a message could not be sent. */
    private readonly failed: (error: unknown) => void,
  ) {}

  /**
   * Sends a message, after those that are still under way. The payload is sent without a copy: leave it alone until
   * the peer is known to have it.
   */
  send(header: Header, payload: Uint8Array): void {
    const frames = payload.length > 0 ? [encodeHeader(header), payload] : [encodeHeader(header)];
    const sent =
      this.underWay === 0 ? this.outgoing.send(frames) : this.sending.then(() => this.outgoing.send(frames));
    this.underWay++;
    this.sending = sent.then(
      () => void this.underWay--,
      (error: unknown) => this.failed(error),
    );
  }

  /** The next message of this peer. It never times out: race it against what ends the collective. */
  receive(): Promise<Message> {
    const { ahead } = this;
    this.ahead = undefined;
    return ahead?.coming ?? this.read();
  }

  /** The next message where it has come, which stays for `receive`. Only while nobody receives. */
  look(): Message | undefined {
    if (!this.ahead) {
      const ahead: Ahead = { coming: this.read() };
      ahead.coming.then(
        (message) => void (ahead.message = message),
        () => {},
      );
      this.ahead = ahead;
    }
    return this.ahead.message;
  }

  private async read(): Promise<Message> {
    const [header, payload] = await this.incoming.receive();
    return { header, payload: payload ?? Buffer.alloc(0) };
  }

  close(): void {
    this.outgoing.close();
    this.incoming.close();
  }
}
