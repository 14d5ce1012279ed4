import type * as zmq from 'zeromq';
import type { Connection, Message } from '../connection.js';
import { eventsEnd } from './sockets.js';

/** A message that is received before `receive` is called for it. */
interface Ahead {
  coming: Promise<Message>;
  message?: Message;
}

interface Ends {
  outgoing: zmq.Pair;
  incoming: zmq.Pair;
  /** Called when a message cannot be sent. */
  failed(): void;
}

/**
 * Two PAIR sockets, one for each direction, each served by an I/O thread of its own, so that sending and receiving do not
 * wait for each other.
 */
export class ZmqConnection implements Connection {
  private ahead: Ahead | undefined;
  private sending: Promise<void> = Promise.resolve();
  private underWay = 0;
  private readonly ended: Promise<unknown>;

  constructor(
    readonly peer: number,
    readonly stream: number,
    private readonly ends: Ends,
  ) {
    this.ended = Promise.all([eventsEnd(ends.outgoing), eventsEnd(ends.incoming)]);
  }

  send(header: Uint8Array, payload: Uint8Array): void {
    const { outgoing, failed } = this.ends;
    const frames = payload.length > 0 ? [header, payload] : [header];
    const sent = this.underWay === 0 ? outgoing.send(frames) : this.sending.then(() => outgoing.send(frames));
    this.underWay++;
    this.sending = sent.then(
      () => void this.underWay--,
      () => failed(),
    );
  }

  receive(): Promise<Message> {
    const { ahead } = this;
    this.ahead = undefined;
    return ahead?.coming ?? this.read();
  }

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

  async close(): Promise<void> {
    this.ends.outgoing.close();
    this.ends.incoming.close();
    await this.ended;
  }

  private async read(): Promise<Message> {
    const [header, payload] = await this.ends.incoming.receive();
    return { header: header ?? Buffer.alloc(0), payload: payload ?? Buffer.alloc(0) };
  }
}
