import type * as zmq from 'zeromq';
import { encodeHeader, type Header } from './wire.js';

/** A message between two ranks: its header frame and its payload. */
export interface Message {
  header: Buffer;
  payload: Buffer;
}

/** One connection to one peer: a PAIR socket, which takes no second peer. */
export class Edge {
  private sending: Promise<void> = Promise.resolve();
  private underWay = 0;

  constructor(
    readonly peer: number,
    readonly socket: zmq.Pair,
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
      this.underWay === 0 ? this.socket.send(frames) : this.sending.then(() => this.socket.send(frames));
    this.underWay++;
    this.sending = sent.then(
      () => void this.underWay--,
      (error: unknown) => this.failed(error),
    );
  }

  /** The next message of this peer. It never times out: race it against what ends the collective. */
  async receive(): Promise<Message> {
    const [header, payload] = await this.socket.receive();
    return { header, payload: payload ?? Buffer.alloc(0) };
  }
}
