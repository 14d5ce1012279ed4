import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { present } from '../util/present.js';
import type { Connection, Endpoints, Message, Transport, TransportOptions } from './connection.js';

interface InProcessOptions extends TransportOptions {
  /** A port to each peer, whose other end is the peer's port to this rank. */
  ports: ReadonlyMap<number, MessagePort>;
}

type Packet = [stream: number, header: Uint8Array, payload: Uint8Array];

/** Each rank's ports to all others: to be handed to the ranks' threads, or used in one. */
export function connectInProcess(worldSize: number): Map<number, MessagePort>[] {
  const ports = Array.from({ length: worldSize }, () => new Map<number, MessagePort>());
  for (const [low, lower] of ports.entries())
    for (const [index, higher] of ports.slice(low + 1).entries()) {
      const { port1, port2 } = new MessageChannel();
      lower.set(low + 1 + index, port1);
      higher.set(low, port2);
    }
  return ports;
}

/** Ranks that are threads of one process, or share one: messages are copied from port to port. */
export class InProcessTransport implements Transport {
  readonly name = 'in-process';
  readonly strangers = 0;
  readonly endpoints: Endpoints = {};
  private closed = false;

  constructor(private readonly options: InProcessOptions) {}

  async bind(): Promise<void> {}

  connect(): Connection[] {
    const { peers, streams, ports, lost } = this.options;
    return peers.flatMap((peer) => {
      const port = ports.get(peer) as MessagePort;
      const connections = Array.from(
        { length: streams },
        (_, stream) => new PortConnection(peer, stream, port),
      );
      port.on('message', ([stream, header, payload]: Packet) =>
        present(connections[stream], 'a stream').take({ header, payload }),
      );
      port.on('close', () => {
        if (!this.closed) lost(peer);
      });
      return connections;
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const port of this.options.ports.values()) port.close();
  }
}

/** One stream of a port. */
class PortConnection implements Connection {
  private readonly arrived: Message[] = [];
  private wake: ((message: Message) => void) | undefined;

  constructor(
    readonly peer: number,
    readonly stream: number,
    private readonly port: MessagePort,
  ) {}

  send(header: Uint8Array, payload: Uint8Array): void {
    const packet: Packet = [this.stream, header, Uint8Array.from(payload)];
    this.port.postMessage(packet);
  }

  receive(): Promise<Message> {
    const message = this.arrived.shift();
    if (message) return Promise.resolve(message);
    return new Promise((resolve) => (this.wake = resolve));
  }

  look(): Message | undefined {
    return this.arrived[0];
  }

  async close(): Promise<void> {}

  take(message: Message): void {
    const { wake } = this;
    this.wake = undefined;
    if (wake) wake(message);
    else this.arrived.push(message);
  }
}
