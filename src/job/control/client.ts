import { randomBytes } from 'node:crypto';
import * as zmq from 'zeromq';
import { eventsEnd } from '../../transport/zmq/sockets.js';
import { messageOf, PodDistError } from '../../util/errors.js';
import { deriveKeyPair } from '../../transport/keys.js';
import { FrameJoiner, maxFrameBytes, toFrames } from './frames.js';
import {
  coordinatorMessage,
  decode,
  encode,
  type CoordinatorMessage,
  type WorkerMessage,
} from './protocol.js';
import { present } from '../../util/present.js';

export interface ClientOptions {
  /** The coordinator's address, such as `tcp://127.0.0.1:29500`. */
  address: string;
  /** The job's secret. */
  token: string;
  /** Called once, a second after an established connection has ended, so that its last messages are read first. */
  onLost(): void;
}

const lostAfterMs = 1000;
/** A coordinator that has read nothing for so long while so much is queued for it will not read this either. */
const sendWithinMs = 60_000;
const curveBytes = 256;
/** Frames that wait for a coordinator that does not read them. */
const queued = 65_536;

/**
 * A worker's end of the control connection. It connects in the background, and tries again until it is up for the first
 * time: the coordinator knows a worker by its connection, so one that ended is not taken up again.
 */
export class ControlClient {
  private readonly socket: zmq.Dealer;
  private sending: Promise<void> = Promise.resolve();
  private closed = false;
  private up = false;
  private lost: NodeJS.Timeout | undefined;
  private readonly ended: Promise<void>;

  constructor({ address, token, onLost }: ClientOptions) {
    this.socket = controlSocket(address, token);
    this.ended = eventsEnd(this.socket);
    this.socket.events.on('handshake', () => (this.up = true));
    this.socket.events.on('disconnect', () => {
      if (this.up) this.lost ??= setTimeout(onLost, lostAfterMs);
    });
    this.socket.connect(address);
  }

  /**
   * Sends a message after those before it; resolves once it is on its way. Rejects with `MESSAGE_NOT_SENT` where that
   * cannot be: it holds what has no form on the wire or is too long, the coordinator reads nothing, or the connection
   * is closed here.
   */
  send(message: WorkerMessage): Promise<void> {
    const sending = this.sending.then(() => this.transmit(message));
    this.sending = sending.catch(() => {});
    return sending;
  }

  /** Resolves once everything so far is on its way, or has failed. */
  sent(): Promise<void> {
    return this.sending;
  }

  /** Messages of the coordinator, until the client is closed. */
  async *messages(): AsyncIterable<CoordinatorMessage> {
    const frames = new FrameJoiner();
    for await (const [frame] of this.socket) {
      const bytes = frames.add(present(frame, 'a frame'));
      if (bytes) yield decode(coordinatorMessage, bytes);
    }
  }

  /** Closes the connection. Resolves once what is queued has been sent, within half a second, and events have ended. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.lost);
    if (!this.up) this.socket.linger = 0;
    this.socket.close();
    await this.ended;
  }

  /** Closes the connection at once: nothing that is queued reaches anybody who listens there later. */
  async drop(): Promise<void> {
    this.closed = true;
    clearTimeout(this.lost);
    this.socket.linger = 0;
    this.socket.close();
    await this.ended;
  }

  private async transmit(message: WorkerMessage): Promise<void> {
    try {
      if (this.closed) throw new Error('the connection is closed');
      for (const frame of toFrames(encode(message))) await this.socket.send(frame);
    } catch (error) {
      throw new PodDistError(
        'MESSAGE_NOT_SENT',
        `a message (${message.type}) to the coordinator cannot be sent: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
}

/** A socket for the control connection to `address`, not yet connected. */
export function controlSocket(address: string, token: string): zmq.Dealer {
  const own = zmq.curveKeyPair();
  return new zmq.Dealer({
    routingId: randomBytes(16).toString('hex'),
    linger: 500,
    reconnectInterval: 200,
    maxMessageSize: maxFrameBytes + curveBytes,
    sendHighWaterMark: queued,
    sendTimeout: sendWithinMs,
    ipv6: address.includes('['),
    curveServerKey: deriveKeyPair(token, 'control').publicKey,
    curvePublicKey: own.publicKey,
    curveSecretKey: own.secretKey,
  });
}
