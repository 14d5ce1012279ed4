import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection, Transport, TransportOptions } from '../../src/transport/connection.js';
import { HostTransport } from '../../src/transport/host/transport.js';
import { connectInProcess, InProcessTransport } from '../../src/transport/in-process.js';
import { IpcTransport } from '../../src/transport/zmq/ipc.js';
import { prepareSockets } from '../../src/transport/zmq/sockets.js';
import { TcpTransport } from '../../src/transport/zmq/tcp.js';
import { securities } from '../../src/transport/security.js';

prepareSockets();

/** Streams of each transport; the host transport has one. */
export const streams = 2;

/** A transport for each of two ranks, and the removal of their folder. */
interface Made {
  transports: Transport[];
  remove(): void;
}

interface Implementation {
  name: string;
  /** Longest payload that one message may have. */
  longest: number;
  make(lost: (rank: number, peer: number) => void): Made;
}

const options = (rank: number, lost: (rank: number, peer: number) => void): TransportOptions => ({
  rank,
  peers: [1 - rank],
  streams,
  lost: (peer) => lost(rank, peer),
});

/** Every transport: the conformance suite runs over each. */
export const implementations: readonly Implementation[] = [
  {
    name: 'ipc',
    longest: 3_000_000,
    make: (lost) => inFolder((folder) => [0, 1].map((rank) => new IpcTransport(options(rank, lost), folder))),
  },
  ...securities.map((security) => ({
    name: `tcp, ${security}`,
    longest: 3_000_000,
    make: (lost: (rank: number, peer: number) => void) => ({
      transports: [0, 1].map(
        (rank) =>
          new TcpTransport({
            ...options(rank, lost),
            host: '127.0.0.1',
            secret: 'a secret for tests',
            scope: 'job 0',
            security,
          }),
      ),
      remove: () => {},
    }),
  })),
  {
    name: 'host',
    longest: 700_000,
    make: () =>
      inFolder((directory) =>
        [0, 1].map((rank) => new HostTransport({ rank, hosts: ['here', 'here'], directory })),
      ),
  },
  {
    name: 'in-process',
    longest: 3_000_000,
    make: (lost) => {
      const ports = connectInProcess(2);
      const transports = ports.map(
        (own, rank) => new InProcessTransport({ ...options(rank, lost), ports: own }),
      );
      return { transports, remove: () => {} };
    },
  },
];

function inFolder(make: (folder: string) => Transport[]): Made {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  return { transports: make(folder), remove: () => rmSync(folder, { recursive: true }) };
}

/** Connects two ranks; returns their connections, by rank and stream. */
export async function meet(transports: readonly Transport[]): Promise<Connection[][]> {
  for (const transport of transports) await transport.bind();
  const table = Object.fromEntries(transports.map(({ endpoints }, rank) => [rank, endpoints]));
  return transports.map((transport) => transport.connect(table).sort((a, b) => a.stream - b.stream));
}
