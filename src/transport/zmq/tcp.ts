import * as zmq from 'zeromq';
import { PodDistError } from '../../util/errors.js';
import { needsIpv6, tcpAddress } from '../addresses.js';
import type { Connection, Endpoints } from '../connection.js';
import { deriveKey, deriveKeyPair } from '../keys.js';
import { portsFrom, type PortRange } from '../ports.js';
import { SealedConnection } from '../sealed.js';
import type { Security } from '../security.js';
import { PairTransport, type PairOptions, type Way } from './pair-transport.js';
import { Passwords } from './passwords.js';
import { Presence } from './presence.js';

export interface TcpOptions extends PairOptions {
  /** Address to listen on. */
  host: string;
  /** Ports to listen on; default: any free ones. */
  dataPorts?: PortRange;
  /** Secret that the ranks of the job share. */
  secret: string;
  /** Names the job and the generation of its group: its keys serve no other. */
  scope: string;
  security: Security;
  /** Whether the system looks each second whether the peer's is still there. */
  keepalive?: boolean;
}

/**
 * Probes of the system on connections that are silent: the receiving end of each direction sends nothing else, so it notices
 * a peer that it does not reach after five seconds. A stopped process's system answers.
 */
const keepaliveOptions = {
  tcpKeepalive: 1,
  tcpKeepaliveIdle: 1,
  tcpKeepaliveInterval: 1,
  tcpKeepaliveCount: 4,
};

const tcpEndpoint = /^tcp:\/\/[^/\s]+:\d{1,5}$/;
/** Milliseconds within which a connection must have proved itself, or it is closed. */
const handshakeMs = 10_000;

/**
 * ZeroMQ over tcp. A process that connects first proves that it knows the job's secret, and learns nothing before: by
 * CURVE, whose server key is derived and never sent, or by a password (`passwords.ts`), with each message sealed on
 * its way (`../sealed.ts`). Keys and passwords are derived for one direction of one connection of one generation.
 * Strangers take no connection's place and end none (`presence.ts`).
 */
export class TcpTransport extends PairTransport {
  readonly name = 'tcp';
  private readonly presences: Presence[] = [];
  private readonly passwords: Passwords;

  constructor(protected override readonly options: TcpOptions) {
    super(options);
    this.passwords = new Passwords(options.secret, options.scope);
  }

  override async bind(): Promise<void> {
    const { security, rank, peers } = this.options;
    if (security !== 'curve' && peers.some((peer) => peer > rank)) await this.passwords.serve();
    await super.bind();
  }

  override connect(table: Readonly<Record<number, Endpoints>>): Connection[] {
    const { security, secret, scope, rank } = this.options;
    const connections = super.connect(table);
    if (security === 'curve' || security === 'network') return connections;
    return connections.map(
      (connection) =>
        new SealedConnection(connection, {
          rank,
          encrypted: security === 'encrypted',
          keyOf: (direction) => deriveKey(secret, `seal ${scope} ${direction}`),
        }),
    );
  }

  override async close(): Promise<void> {
    await super.close();
    await this.passwords.close();
  }

  get strangers(): number {
    return this.presences.reduce((sum, { strangers }) => sum + strangers, 0);
  }

  protected socketOptions({ name, listens }: Way): zmq.SocketOptions<zmq.Pair> {
    const { host, security, secret, scope, keepalive } = this.options;
    const common = {
      ipv6: needsIpv6(host),
      ...(listens ? { handshakeInterval: handshakeMs } : {}),
      ...(keepalive ? keepaliveOptions : {}),
    };
    if (security !== 'curve')
      return {
        ...common,
        ...(listens ? this.passwords.forListening(name) : this.passwords.forConnecting(name)),
      };
    const { publicKey, secretKey } = deriveKeyPair(secret, `data ${scope} ${name}`);
    if (listens) return { ...common, curveServer: true, curveSecretKey: secretKey };
    const own = zmq.curveKeyPair();
    return {
      ...common,
      curveServerKey: publicKey,
      curvePublicKey: own.publicKey,
      curveSecretKey: own.secretKey,
    };
  }

  protected override watch(socket: zmq.Pair, way: Way): void {
    if (way.listens) this.presences.push(new Presence(socket, () => this.lose(way.peer)));
    else super.watch(socket, way);
  }

  protected async listen(socket: zmq.Pair): Promise<string> {
    await this.bindPort(socket);
    return socket.lastEndpoint as string;
  }

  protected addressOf({ peer }: Way, endpoint = 'nowhere'): string {
    if (tcpEndpoint.test(endpoint)) return endpoint;
    throw new PodDistError(
      'MESH_FAILED',
      `rank ${this.options.rank} expects rank ${peer} over tcp, but it listens at ${endpoint.slice(0, 100)}: give distributed.transport=tcp`,
    );
  }

  private async bindPort(socket: zmq.Pair): Promise<void> {
    const { host, dataPorts, rank, streams } = this.options;
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
      `all ports of distributed.dataPorts ${first}-${last} are in use on ${host}; a rank takes ${2 * streams} for each higher rank on another host`,
    );
  }
}
