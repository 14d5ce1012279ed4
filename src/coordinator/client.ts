import * as zmq from 'zeromq';
import {
  coordinatorMessage,
  decode,
  encode,
  type CoordinatorMessage,
  type WorkerMessage,
} from './protocol.js';

export interface ClientOptions {
  /** The coordinator's address, such as `tcp://127.0.0.1:29500`. */
  address: string;
  /** The coordinator's CURVE public key, where the control connection is encrypted. */
  publicKey?: string;
  /** Told once when the connection has been down for three seconds after it was up. */
  onLost(): void;
}

const reconnectWithinMs = 3000;

/** A worker's end of the control connection. It connects, and reconnects, in the background. */
export class ControlClient {
  private readonly socket: zmq.Dealer;
  private sending: Promise<void> = Promise.resolve();
  private down: NodeJS.Timeout | undefined;

  constructor({ address, publicKey, onLost }: ClientOptions) {
    const own = publicKey ? zmq.curveKeyPair() : undefined;
    const security =
      publicKey && own
        ? { curveServerKey: publicKey, curvePublicKey: own.publicKey, curveSecretKey: own.secretKey }
        : {};
    this.socket = new zmq.Dealer({ linger: 500, reconnectInterval: 200, sendHighWaterMark: 0, ...security });
    this.socket.events.on('disconnect', () => (this.down ??= setTimeout(onLost, reconnectWithinMs)));
    this.socket.events.on('connect', () => this.isUp());
    this.socket.connect(address);
  }

  /** Queues a message; resolves once it is on its way. */
  send(message: WorkerMessage): Promise<void> {
    this.sending = this.sending.then(() => this.socket.send(encode(message))).catch(() => {});
    return this.sending;
  }

  /** Resolves once everything so far is on its way. */
  sent(): Promise<void> {
    return this.sending;
  }

  /** Messages of the coordinator, until the client is closed. */
  async *messages(): AsyncIterable<CoordinatorMessage> {
    for await (const [bytes] of this.socket) yield decode(coordinatorMessage, bytes);
  }

  close(): void {
    this.isUp();
    this.socket.close();
  }

  private isUp(): void {
    clearTimeout(this.down);
    this.down = undefined;
  }
}
