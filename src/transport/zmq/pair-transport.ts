import * as zmq from 'zeromq';
import {
  directionName,
  type Connection,
  type Endpoints,
  type Transport,
  type TransportOptions,
} from '../connection.js';
import { ZmqConnection } from './connection.js';
import { socketsClosed } from './sockets.js';

const maxMessageBytes = 2 ** 30;

/** I/O threads that serve a socket, as a bit mask. */
const outgoingThread = 1;
const incomingThread = 2;

/** RFC 1349: Linux's queues before a network card send such packets first. */
const lowDelay = 0x10;

export interface PairOptions extends TransportOptions {
  /** Streams whose packets a network sends first. */
  urgent?: number;
}

/** One direction of a connection, as this rank sees it. */
export interface Way {
  /** Name, such as `0-1.0`. */
  name: string;
  peer: number;
  listens: boolean;
}

/**
 * Connections over PAIR sockets, two a connection; subclasses add what differs between ipc and tcp. A connection that
 * ends is never taken up again: its peer is lost.
 */
export abstract class PairTransport implements Transport {
  abstract readonly name: string;
  readonly endpoints: Endpoints = {};
  private readonly connections: Connection[] = [];
  private closed = false;

  constructor(protected readonly options: PairOptions) {}

  abstract get strangers(): number;
  /** Options of the socket of one direction. */
  protected abstract socketOptions(way: Way): zmq.SocketOptions<zmq.Pair>;
  /** Binds a socket; returns what the peer must know. */
  protected abstract listen(socket: zmq.Pair, way: Way): Promise<string>;
  /** Address to connect to; throws for an endpoint that cannot be this transport's. */
  protected abstract addressOf(way: Way, endpoint: string | undefined): string;
  /** Watches a socket from its start. */
  protected watch(socket: zmq.Pair, { peer }: Way): void {
    socket.events.on('disconnect', () => this.lose(peer));
  }

  async bind(): Promise<void> {
    const { rank, peers } = this.options;
    for (const peer of peers.filter((other) => other > rank))
      for (const [socket, way] of this.open(peer, true))
        this.endpoints[way.name] = await this.listen(socket, way);
  }

  connect(table: Readonly<Record<number, Endpoints>>): Connection[] {
    const { rank, peers } = this.options;
    for (const peer of peers.filter((other) => other < rank))
      for (const [socket, way] of this.open(peer, false)) {
        const address = this.addressOf(way, table[peer]?.[way.name]);
        if (address.includes('[')) socket.ipv6 = true;
        socket.connect(address);
      }
    return this.connections;
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.connections.map((connection) => connection.close()));
    await socketsClosed();
  }

  protected lose(peer: number): void {
    if (!this.closed) this.options.lost(peer);
  }

  /** The sockets of all connections with a peer. */
  private open(peer: number, listens: boolean): [zmq.Pair, Way][] {
    const { rank, streams } = this.options;
    return Array.from({ length: streams }, (_, stream) => stream).flatMap((stream) => {
      const out: Way = { name: directionName(rank, peer, stream), peer, listens };
      const back: Way = { name: directionName(peer, rank, stream), peer, listens };
      const outgoing = this.socket(out, stream, outgoingThread);
      const incoming = this.socket(back, stream, incomingThread);
      const failed = () => this.lose(peer);
      this.connections.push(new ZmqConnection(peer, stream, { outgoing, incoming, failed }));
      return [
        [outgoing, out],
        [incoming, back],
      ] as [zmq.Pair, Way][];
    });
  }

  private socket(way: Way, stream: number, affinity: number): zmq.Pair {
    const socket = new zmq.Pair({
      affinity,
      linger: 0,
      reconnectInterval: -1,
      sendHighWaterMark: 0,
      receiveHighWaterMark: 64,
      maxMessageSize: maxMessageBytes,
      ...(stream === this.options.urgent ? { typeOfService: lowDelay } : {}),
      ...this.socketOptions(way),
    });
    this.watch(socket, way);
    return socket;
  }
}
