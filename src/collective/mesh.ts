import { closeSync } from 'node:fs';
import { join } from 'node:path';
import * as zmq from 'zeromq';
import { messageOf, PodDistError } from '../util/errors.js';
import { needsIpv6, tcpAddress } from '../transport/addresses.js';
import { deriveKeyPair } from '../transport/keys.js';
import { portsFrom, type PortRange } from '../transport/ports.js';
import { Edge } from './edge.js';
import { Presence } from '../transport/presence.js';
import { eventsEnd, socketsClosed } from '../transport/sockets.js';
import { streams, urgent } from './streams.js';
import { decodeHeader } from './wire.js';
import type { HostConnections } from './within-host/direct-collectives.js';
import { closePipes, makePipes, openPipes, pipesFit } from './within-host/pipes.js';
import { makeSharedFile, openSharedFiles } from './within-host/shared-files.js';

export interface MeshOptions {
  rank: number;
  worldSize: number;
  /** Names the job; a connection of another job is refused. */
  jobId: string;
  /** What the ranks of the job share: who does not know it gets no connection over tcp. */
  secret: string;
  /** Each rank's host, by rank: ranks of one host are connected over ipc where there is a directory. */
  hosts: readonly string[];
  /** Folder of the socket files, for ipc; none: tcp everywhere. */
  directory?: string;
  /** Address to listen on, for tcp; default 127.0.0.1. */
  host?: string;
  /** Ports to listen on, for tcp; default: any free ones. */
  dataPorts?: PortRange;
}

const maxMessageBytes = 2 ** 30;
/** Linux gives a Unix socket 208 KiB, in which a large message goes back and forth between two threads. */
const ipcBufferBytes = 2 ** 20;

/** RFC 1349: Linux's queues before a network card send such packets first. */
const lowDelay = 0x10;

/** Endpoints of a rank that has made its pipes, and its shared file. */
const pipesMade = 'pipes';
const fileMade = 'file';

/** Endpoint of a connection within a host: its path is known to both ends. */
const sameHost = 'ipc';
const tcpEndpoint = /^tcp:\/\/[^/\s]+:\d{1,5}$/;
/** A connection that has not shown its key by now is closed. */
const handshakeMs = 10_000;

/** Which I/O thread serves a connection, as a bit mask. */
const outgoingThread = 1;
const incomingThread = 2;

/**
 * Connections between all ranks, a PAIR socket an edge, stream and direction. Of two ranks the lower one listens. A
 * connection that ends is never taken up again: its peer is lost, for all streams.
 *
 * Over tcp each connection is encrypted and authenticated by CURVE. Its key pair is derived from the job's secret and the
 * connection's name, and the listener's public key is never sent: who connects proves first that it knows the secret, and
 * learns nothing before. Strangers take no connection's place and end none (`presence.ts`). Within a host the folder of
 * the sockets keeps other users out.
 *
 * Use: `bind`, publish `endpoints`, get everybody's, `connect`.
 */
export class Mesh {
  readonly rank: number;
  readonly worldSize: number;
  readonly hosts: readonly string[];
  /** Where higher ranks find this one: zmq addresses by direction and stream, `<from>-<to>.<stream>`. */
  readonly endpoints: Record<string, string> = {};
  /** By stream and peer. */
  private readonly edges = streams.map(() => new Map<number, Edge>());
  private readonly listeners: ((peer: number) => void)[] = [];
  private readonly lost = new Set<number>();
  private readonly ends: Promise<void>[] = [];
  private readonly presences: Presence[] = [];
  /** Where all ranks share a host and its system has named pipes: what connects compute threads, once all are connected. */
  withinHost: HostConnections | undefined;
  private closed = false;

  private constructor(private readonly options: MeshOptions) {
    this.rank = options.rank;
    this.worldSize = options.worldSize;
    this.hosts = options.hosts;
  }

  /** Listens for every higher rank. */
  static async bind(options: MeshOptions): Promise<Mesh> {
    const mesh = new Mesh(options);
    try {
      for (let peer = options.rank + 1; peer < options.worldSize; peer++) {
        for (const stream of streams.keys()) {
          const { outgoing, incoming } = mesh.open(peer, stream, true);
          await mesh.listen(outgoing, mesh.direction(mesh.rank, peer, stream), peer);
          await mesh.listen(incoming, mesh.direction(peer, mesh.rank, stream), peer);
        }
      }
      const { directory, hosts, rank, worldSize } = options;
      if (directory && pipesFit(hosts) && (await makePipes({ directory, rank, worldSize }))) {
        mesh.endpoints[pipesMade] = 'made';
        if (makeSharedFile(directory, rank)) mesh.endpoints[fileMade] = 'made';
      }
    } catch (error) {
      await mesh.close();
      throw new PodDistError(
        'MESH_FAILED',
        `rank ${options.rank} cannot listen for its peers: ${messageOf(error)}`,
      );
    }
    return mesh;
  }

  /**
   * Connects to every lower rank and exchanges a handshake (job, ranks, wire version) on every edge.
   *
   * `table` holds every rank's `endpoints`. Rejects with `MESH_FAILED` past the deadline.
   */
  async connect(
    table: Record<number, Record<string, string>>,
    { timeoutMs }: { timeoutMs: number },
  ): Promise<void> {
    for (let peer = 0; peer < this.rank; peer++) {
      for (const stream of streams.keys()) {
        const { outgoing, incoming } = this.open(peer, stream, false);
        this.call(outgoing, this.direction(this.rank, peer, stream), peer, table[peer]);
        this.call(incoming, this.direction(peer, this.rank, stream), peer, table[peer]);
      }
    }
    const waitedFor = new Set(this.allEdges);
    const greetings = this.allEdges.map(async (edge) => {
      await this.greet(edge);
      waitedFor.delete(edge);
    });
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const [{ peer, stream }] = waitedFor;
        const direction = this.direction(this.rank, peer, stream);
        const where =
          peer < this.rank
            ? `to rank ${peer} at ${table[peer][direction]}`
            : `from rank ${peer} to ${this.endpoints[direction]}`;
        const advice =
          'is there a firewall in between, or may distributed.host name an address that the other reaches?';
        reject(
          new PodDistError(
            'MESH_FAILED',
            `rank ${this.rank} has no connection ${where} after ${timeoutMs / 1000} s: ${advice}`,
          ),
        );
      }, timeoutMs);
    });
    await Promise.race([Promise.all(greetings), deadline]).finally(() => clearTimeout(timer));
    this.withinHost = this.openWithinHost(Object.values(table));
  }

  /** Told each peer whose connection ends, once. */
  onPeerLost(listener: (peer: number) => void): void {
    this.listeners.push(listener);
  }

  edge(peer: number, stream: number): Edge {
    return this.edges[stream].get(peer) as Edge;
  }

  /** Connections to this rank's ports that were not of this job, so far. */
  get strangers(): number {
    return this.presences.reduce((sum, { strangers }) => sum + strangers, 0);
  }

  /** Peers in rank order. */
  get peers(): number[] {
    return [...this.edges[0].keys()].sort((a, b) => a - b);
  }

  /**
   * Ends every connection. Pending receives are rejected in a later turn of the event loop; a thread must not end
   * before, or the rejections meet a torn-down environment.
   */
  async close(): Promise<void> {
    this.closed = true;
    for (const edge of this.allEdges) edge.close();
    const { pipes, files = [] } = this.withinHost ?? {};
    if (pipes) closePipes(pipes);
    for (const file of files) closeSync(file);
    this.withinHost = undefined;
    await Promise.all(this.ends);
    await socketsClosed();
  }

  private openWithinHost(endpoints: readonly Record<string, string>[]): HostConnections | undefined {
    const { directory, rank, worldSize } = this.options;
    const all = (made: string) => endpoints.every((of) => made in of);
    if (directory === undefined || !all(pipesMade)) return undefined;
    const pipes = openPipes({ directory, rank, worldSize });
    return all(fileMade) ? { pipes, files: openSharedFiles(directory, rank, worldSize) } : { pipes };
  }

  private async listen(socket: zmq.Pair, direction: string, peer: number): Promise<void> {
    if (this.isLocal(peer)) {
      await socket.bind(this.pathOf(direction));
      this.endpoints[direction] = sameHost;
      return;
    }
    await this.bindPort(socket);
    this.endpoints[direction] = socket.lastEndpoint as string;
  }

  private async bindPort(socket: zmq.Pair): Promise<void> {
    const { host = '127.0.0.1', dataPorts, rank } = this.options;
    if (!dataPorts) return socket.bind(tcpAddress(host, '*'));
    for (const port of portsFrom(dataPorts, rank)) {
      try {
        return await socket.bind(tcpAddress(host, port));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
    const { first, last } = dataPorts;
    throw new Error(
      `all ports of distributed.dataPorts ${first}-${last} are in use on ${host}; a rank takes ${2 * streams.length} for each higher rank on another host`,
    );
  }

  /** Connects to a lower rank. Its host says where it listens, but names no path. */
  private call(
    socket: zmq.Pair,
    direction: string,
    peer: number,
    endpoints: Record<string, string> | undefined,
  ): void {
    const endpoint = endpoints?.[direction] ?? 'nowhere';
    const local = this.isLocal(peer);
    if (local ? endpoint !== sameHost : !tcpEndpoint.test(endpoint)) {
      const way = local ? 'within the host' : 'over tcp';
      throw new PodDistError(
        'MESH_FAILED',
        `rank ${this.rank} expects rank ${peer} ${way}, but it listens at ${endpoint.slice(0, 100)}: give distributed.transport=tcp`,
      );
    }
    if (endpoint.includes('[')) socket.ipv6 = true;
    socket.connect(local ? this.pathOf(direction) : endpoint);
  }

  private pathOf(direction: string): string {
    return `ipc://${join(this.options.directory ?? '', direction)}`;
  }

  /** Whether a peer is reached over ipc. */
  private isLocal(peer: number): boolean {
    const { directory, hosts, rank } = this.options;
    return directory !== undefined && hosts[peer] === hosts[rank];
  }

  private direction(from: number, to: number, stream: number): string {
    return `${from}-${to}.${stream}`;
  }

  private get allEdges(): Edge[] {
    return this.edges.flatMap((edges) => [...edges.values()]);
  }

  private open(peer: number, stream: number, listens: boolean): Edge {
    const outgoing = this.socket(peer, stream, {
      affinity: outgoingThread,
      ...this.security(this.rank, peer, stream, listens),
    });
    const incoming = this.socket(peer, stream, {
      affinity: incomingThread,
      ...this.security(peer, this.rank, stream, listens),
    });
    const edge = new Edge(peer, stream, outgoing, incoming, () => this.lose(peer));
    this.edges[stream].set(peer, edge);
    return edge;
  }

  /** CURVE, for what is not within a host. */
  private security(from: number, to: number, stream: number, listens: boolean): zmq.SocketOptions<zmq.Pair> {
    if (this.isLocal(from === this.rank ? to : from)) return {};
    const { secret, jobId } = this.options;
    const { publicKey, secretKey } = deriveKeyPair(
      secret,
      `data ${jobId} ${this.direction(from, to, stream)}`,
    );
    if (listens) return { curveServer: true, curveSecretKey: secretKey };
    const own = zmq.curveKeyPair();
    return { curveServerKey: publicKey, curvePublicKey: own.publicKey, curveSecretKey: own.secretKey };
  }

  private socket(peer: number, stream: number, options: zmq.SocketOptions<zmq.Pair>): zmq.Pair {
    const listensOnTcp = options.curveServer === true;
    const socket = new zmq.Pair({
      ...options,
      ...(listensOnTcp ? { handshakeInterval: handshakeMs } : {}),
      linger: 0,
      reconnectInterval: -1,
      sendHighWaterMark: 0,
      receiveHighWaterMark: 64,
      maxMessageSize: maxMessageBytes,
      ipv6: needsIpv6(this.options.host ?? ''),
      ...(this.isLocal(peer) ? { sendBufferSize: ipcBufferBytes } : {}),
      ...(stream === urgent ? { typeOfService: lowDelay } : {}),
    });
    this.ends.push(eventsEnd(socket));
    if (listensOnTcp) this.presences.push(new Presence(socket, () => this.lose(peer)));
    else socket.events.on('disconnect', () => this.lose(peer));
    return socket;
  }

  private lose(peer: number): void {
    if (this.closed || this.lost.has(peer)) return;
    this.lost.add(peer);
    for (const listener of this.listeners) listener(peer);
  }

  private async greet(edge: Edge): Promise<void> {
    const { stream } = edge;
    const greeting = (source: number, destination: number) =>
      `${this.options.jobId} ${this.direction(source, destination, stream)}`;
    const payload = Buffer.from(greeting(this.rank, edge.peer));
    edge.send(
      {
        kind: 'handshake',
        type: 'float32',
        op: 'sum',
        wire: 'float32',
        stream,
        sequence: 0,
        step: 0,
        chunk: 0,
        source: this.rank,
        tag: 0,
        elements: 0,
        bytes: payload.length,
      },
      payload,
    );
    const { header: frame, payload: answer } = await edge.receive();
    const header = decodeHeader(frame);
    if (header.kind !== 'handshake' || answer.toString() !== greeting(edge.peer, this.rank)) {
      throw new PodDistError(
        'MESH_FAILED',
        `rank ${this.rank} was greeted by somebody who is not rank ${edge.peer} of this job`,
      );
    }
  }
}
