import type { Connection, Message } from '../transport/connection.js';
import { streamAt } from '../transport/wire.js';

interface Waiting {
  resolve(message: Message): void;
  reject(error: unknown): void;
}

/**
 * One connection that several streams share. A message names its stream in its header, and waits until that stream asks
 * for it: streams that do not wait for each other keep to one link, with no more connections than one of them needs.
 */
export class SharedConnection {
  private readonly arrived: ReadonlyMap<number, Message[]>;
  private readonly waiting = new Map<number, Waiting>();
  private reading = false;

  constructor(
    private readonly connection: Connection,
    streams: readonly number[],
  ) {
    this.arrived = new Map(streams.map((stream) => [stream, []]));
  }

  /** The connection as one of the streams sees it. */
  lane(stream: number): Connection {
    const { connection } = this;
    return {
      peer: connection.peer,
      stream,
      send: (header, payload) => connection.send(header, payload),
      receive: () => this.receive(stream),
      look: () => this.look(stream),
      close: () => connection.close(),
    };
  }

  private receive(stream: number): Promise<Message> {
    const message = this.arrived.get(stream)?.shift();
    if (message) return Promise.resolve(message);
    return new Promise((resolve, reject) => {
      this.waiting.set(stream, { resolve, reject });
      void this.read();
    });
  }

  private look(stream: number): Message | undefined {
    const first = this.arrived.get(stream)?.[0];
    if (first || this.reading) return first;
    const message = this.connection.look();
    return message && this.streamOf(message) === stream ? message : undefined;
  }

  /** Reads as long as a stream waits. */
  private async read(): Promise<void> {
    if (this.reading) return;
    this.reading = true;
    try {
      while (this.waiting.size > 0) this.take(await this.connection.receive(0));
    } catch (error) {
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    } finally {
      this.reading = false;
    }
  }

  private take(message: Message): void {
    const stream = this.streamOf(message);
    const waiting = this.waiting.get(stream);
    this.waiting.delete(stream);
    if (waiting) waiting.resolve(message);
    else this.arrived.get(stream)?.push(message);
  }

  /** Stream of a message; of one that names none, a stream that waits, which refuses it. */
  private streamOf({ header }: Message): number {
    const named = header[streamAt];
    if (named !== undefined && this.arrived.has(named)) return named;
    const [first] = [...this.waiting.keys(), ...this.arrived.keys()];
    return first as number;
  }
}
