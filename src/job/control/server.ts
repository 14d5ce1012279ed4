import type * as zmq from 'zeromq';
import { messageOf, PodDistError } from '../../util/errors.js';
import { FrameJoiner, toFrames } from './frames.js';
import { listen, type ListenOptions } from './listen.js';
import { encode, type CoordinatorMessage } from './protocol.js';
import { Quota } from './quota.js';

/** Bytes of the first message of a worker, its `hello`, at most; no more is read before a worker is admitted. */
const longestHello = 4096;

/** A connection of a process that knows the job's secret: the random name of its socket, in hex. */
export type Connection = string;

/** Incoming: a whole message, or a violation of the protocol. */
export type Arrival =
  { connection: Connection; bytes: Uint8Array } | { connection: Connection; fault: string };

/** The coordinator's end of its members' connections. */
export interface MemberConnections {
  /** TCP port. */
  readonly port: number;
  /** Reads longer messages of this connection from now on. */
  admit(connection: Connection): void;
  /**
   * Messages and faults, until closed; throws `MESSAGE_NOT_SENT` where a posted message cannot be sent to any member.
   */
  arrivals(): AsyncIterable<Arrival>;
  /** Sends a message, after those still under way. A member that does not read its messages is reported as a fault. */
  post(connection: Connection, message: CoordinatorMessage): void;
  close(): Promise<void>;
}

interface Admitted {
  frames: FrameJoiner;
  quota: Quota;
}

/**
 * The coordinator's end of all control connections, over ZeroMQ.
 *
 * CURVE keeps out who does not know the job's secret. Before a connection is admitted one short message of it is read at
 * a time and nothing is kept; afterwards messages come in frames and have a quota. Multipart messages are not delivered.
 * A connection that ended is gone for good: a new one has a new name.
 */
export class ControlServer implements MemberConnections {
  readonly port: number;
  private readonly admitted = new Map<Connection, Admitted>();
  private readonly faults: Arrival[] = [];
  private sending: Promise<void> = Promise.resolve();
  /** The error of a message of this process that cannot be encoded. */
  private unsendable: PodDistError | undefined;
  private closed = false;

  private constructor(private readonly socket: zmq.Router) {
    this.port = Number((socket.lastEndpoint as string).split(':').pop());
  }

  static async start(options: ListenOptions): Promise<ControlServer> {
    return new ControlServer(await listen(options));
  }

  admit(connection: Connection): void {
    this.admitted.set(connection, { frames: new FrameJoiner(), quota: new Quota(performance.now()) });
  }

  async *arrivals(): AsyncIterable<Arrival> {
    for await (const [name, frame, ...rest] of this.socket) {
      if (this.unsendable) throw this.unsendable;
      yield* this.faults.splice(0);
      if (name === undefined || frame === undefined || rest.length > 0) continue;
      const arrival = this.read(name.toString('hex'), frame);
      if (arrival) yield arrival;
    }
  }

  post(connection: Connection, message: CoordinatorMessage): void {
    this.sending = this.sending.then(() => this.send(connection, message));
  }

  async close(): Promise<void> {
    await this.sending;
    this.closed = true;
    this.socket.close();
  }

  private read(connection: Connection, frame: Uint8Array): Arrival | undefined {
    const member = this.admitted.get(connection);
    if (!member) {
      if (frame.length < 2 || frame.length > longestHello || frame[0] !== 0) return undefined;
      return { connection, bytes: frame.subarray(1) };
    }
    try {
      const tooMuch = member.quota.take(frame.length, performance.now());
      if (tooMuch) return { connection, fault: `it sends ${tooMuch}` };
      const bytes = member.frames.add(frame);
      return bytes && { connection, bytes };
    } catch (error) {
      return { connection, fault: `it sends ${messageOf(error)}` };
    }
  }

  private async send(connection: Connection, message: CoordinatorMessage): Promise<void> {
    try {
      for (const frame of toFrames(encode(message))) {
        if (this.closed) return;
        await this.socket.send([Buffer.from(connection, 'hex'), frame]);
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') this.faults.push({ connection, fault: 'it does not read its messages' });
      else if (code !== 'EHOSTUNREACH' && !this.closed)
        this.unsendable ??= new PodDistError(
          'MESSAGE_NOT_SENT',
          `a message (${message.type}) to the workers cannot be sent: ${messageOf(error)}`,
          { cause: error },
        );
    }
  }
}
