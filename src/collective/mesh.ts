import type { MessagePort } from 'node:worker_threads';
import { messageOf, PodDistError } from '../util/errors.js';
import {
  directionName,
  type Connection,
  type Endpoints,
  type Transport,
  type TransportOptions,
} from '../transport/connection.js';
import type { HostDescriptors } from '../transport/host/connection.js';
import { HostTransport } from '../transport/host/transport.js';
import { InProcessTransport } from '../transport/in-process.js';
import type { PortRange } from '../transport/ports.js';
import type { Security } from '../transport/security.js';
import { decodeHeader, encodeHeader } from '../transport/wire.js';
import { IpcTransport } from '../transport/zmq/ipc.js';
import { TcpTransport } from '../transport/zmq/tcp.js';
import { SharedConnection } from './shared-connection.js';
import { connectedStreams, lanes, streams, urgent } from './streams.js';

export interface MeshOptions {
  rank: number;
  worldSize: number;
  /** Names the job; a connection of another job is refused. */
  jobId: string;
  /** Counts the configurations of the group: messages of another one are refused; default 0. */
  generation?: number;
  /** Secret that the ranks of the job share: over tcp, only a peer that knows it gets a connection. */
  secret: string;
  /** How data over tcp is protected; default `encrypted`. */
  security?: Security;
  /** Each rank's host, by rank: ranks of one host are connected over ipc where there is a directory. */
  hosts: readonly string[];
  /** Folder of the socket files, for ipc; none: tcp everywhere. */
  directory?: string;
  /** Address to listen on, for tcp; default 127.0.0.1. */
  host?: string;
  /** Ports to listen on, for tcp; default: any free ones. */
  dataPorts?: PortRange;
  /** Whether a peer that cannot be reached over tcp any more counts as lost within five seconds; default: it does not. */
  keepalive?: boolean;
  /** Whether ranks of one host may share memory; default: where the module for it has been compiled. */
  sharesMemory?: boolean;
  /** Called with what a user should know; default: nobody is told. */
  notify?(line: string): void;
  /** Ports to each rank, where all ranks are threads of this process. */
  ports?: ReadonlyMap<number, MessagePort>;
}

/** The connections of one stream. */
export interface Links {
  readonly rank: number;
  /** All ranks, in order. */
  readonly ranks: readonly number[];
  readonly stream: number;
  readonly generation: number;
  /** Each rank's host, by rank. */
  readonly hosts: readonly string[];
  connection(peer: number): Connection;
}

/**
 * Connections between all ranks of a group, one for each peer and stream, over whichever transport reaches the peer. A
 * connection that ends is never taken up again: its peer is lost, for all streams.
 *
 * Use: `bind`, publish `endpoints`, get everybody's, `connect`.
 */
export class Mesh {
  readonly rank: number;
  readonly worldSize: number;
  readonly hosts: readonly string[];
  readonly generation: number;
  /** Addresses at which higher ranks find this one, by the name of the connection; complete after `bind`. */
  readonly endpoints: Endpoints = {};
  /**
   * Descriptors that connect compute threads, set once all are connected; undefined unless all ranks share a host with
   * named pipes.
   */
  withinHost: HostDescriptors | undefined;
  /** Peers that have not answered within the deadline of `connect`. */
  unreached: number[] = [];
  private readonly transports: readonly Transport[];
  private readonly within: HostTransport | undefined;
  /** Connections by stream and peer. */
  private readonly connections = streams.map(() => new Map<number, Connection>());
  private readonly listeners: ((peer: number) => void)[] = [];
  private readonly lost = new Set<number>();
  private closed = false;

  private constructor(private readonly options: MeshOptions) {
    const { rank, worldSize, hosts, directory, ports, generation = 0, sharesMemory, notify } = options;
    this.rank = rank;
    this.worldSize = worldSize;
    this.hosts = hosts;
    this.generation = generation;
    this.transports = this.makeTransports();
    if (directory !== undefined && !ports)
      this.within = new HostTransport({ rank, hosts, directory, sharesMemory, notify });
  }

  /** Listens for every higher rank. */
  static async bind(options: MeshOptions): Promise<Mesh> {
    const mesh = new Mesh(options);
    try {
      for (const transport of mesh.all) {
        await transport.bind();
        Object.assign(mesh.endpoints, transport.endpoints);
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
   * Connects to every lower rank and exchanges a greeting (job, generation, ranks) on every connection.
   *
   * `table` holds every rank's `endpoints`. Rejects with `MESH_FAILED` past the deadline.
   */
  async connect(
    table: Readonly<Record<number, Endpoints>>,
    { timeoutMs }: { timeoutMs: number },
  ): Promise<void> {
    const all = this.transports.flatMap((transport) => transport.connect(table));
    for (const connection of all) this.connections[connection.stream].set(connection.peer, connection);
    const waitedFor = new Set(all);
    const greetings = all.map(async (connection) => {
      await this.greet(connection);
      waitedFor.delete(connection);
    });
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const [{ peer, stream }] = waitedFor;
        this.unreached = [...new Set([...waitedFor].map((connection) => connection.peer))];
        const direction = directionName(this.rank, peer, stream);
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
    this.shareBulk();
    this.withinHost = this.within?.open(table);
  }

  /** Calls `listener` with each peer whose connection ends, once. */
  onPeerLost(listener: (peer: number) => void): void {
    this.listeners.push(listener);
  }

  connection(peer: number, stream: number): Connection {
    return this.connections[stream].get(peer) as Connection;
  }

  /** The connections of one stream. */
  links(stream: number): Links {
    const { rank, generation, hosts } = this;
    const connection = (peer: number) => this.connection(peer, stream);
    return { rank, ranks: [...hosts.keys()], stream, generation, hosts, connection };
  }

  /** Connections to this rank's ports that were not of this job, so far. */
  get strangers(): number {
    return this.transports.reduce((sum, { strangers }) => sum + strangers, 0);
  }

  /** Peers in rank order. */
  get peers(): number[] {
    return Array.from({ length: this.worldSize }, (_, rank) => rank).filter((rank) => rank !== this.rank);
  }

  /**
   * Ends every connection. Pending receives are rejected in a later turn of the event loop; a thread must not end
   * before, or the rejections meet a torn-down environment.
   */
  async close(): Promise<void> {
    this.closed = true;
    this.withinHost = undefined;
    await Promise.all(this.all.map((transport) => transport.close()));
  }

  private shareBulk(): void {
    const [first] = lanes;
    for (const [peer, connection] of [...this.connections[first]]) {
      const shared = new SharedConnection(connection, lanes);
      for (const stream of lanes) this.connections[stream].set(peer, shared.lane(stream));
    }
  }

  private get all(): Transport[] {
    return [...this.transports, ...(this.within ? [this.within] : [])];
  }

  /** Transports: peers are reached over ports where there are some, else over ipc within a host, else over tcp. */
  private makeTransports(): Transport[] {
    const { rank, hosts, directory, ports, secret, jobId, dataPorts } = this.options;
    const { host = '127.0.0.1', security = 'encrypted', keepalive = false } = this.options;
    const common: Omit<TransportOptions, 'peers'> & { urgent: number } = {
      rank,
      streams: connectedStreams.length,
      urgent,
      lost: (peer) => this.lose(peer),
    };
    if (ports) return [new InProcessTransport({ ...common, peers: this.peers, ports })];
    const isLocal = (peer: number) => directory !== undefined && hosts[peer] === hosts[rank];
    const local = this.peers.filter(isLocal);
    const remote = this.peers.filter((peer) => !isLocal(peer));
    const scope = `${jobId} ${this.generation}`;
    const tcp = { ...common, peers: remote, host, dataPorts, secret, scope, security, keepalive };
    return [
      ...(directory !== undefined && local.length > 0
        ? [new IpcTransport({ ...common, peers: local }, directory)]
        : []),
      ...(remote.length > 0 ? [new TcpTransport(tcp)] : []),
    ];
  }

  private lose(peer: number): void {
    if (this.closed || this.lost.has(peer)) return;
    this.lost.add(peer);
    for (const listener of this.listeners) listener(peer);
  }

  private async greet(connection: Connection): Promise<void> {
    const { rank, generation } = this;
    const { peer, stream } = connection;
    const greeting = (source: number, destination: number) =>
      `${this.options.jobId} ${directionName(source, destination, stream)}`;
    const payload = Buffer.from(greeting(rank, peer));
    const about = { kind: 'handshake', type: 'float32', op: 'sum', wire: 'float32', stream } as const;
    const numbers = { sequence: 0, step: 0, chunk: 0, source: rank, tag: 0, elements: 0, generation };
    connection.send(encodeHeader({ ...about, ...numbers, bytes: payload.length }), payload);
    const { header: frame, payload: answer } = await connection.receive(payload.length);
    const header = decodeHeader(frame);
    const said = Buffer.from(answer).toString();
    if (header.kind !== 'handshake' || header.generation !== generation || said !== greeting(peer, rank))
      throw new PodDistError(
        'MESH_FAILED',
        `rank ${rank} was greeted by somebody who is not rank ${peer} of this job`,
      );
  }
}
