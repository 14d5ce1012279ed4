import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ControlServer } from '../../../src/job/control/server.js';
import { prepareSockets } from '../../../src/transport/zmq/sockets.js';
import { TcpTransport } from '../../../src/transport/zmq/tcp.js';
import { needs } from '../../needs.js';

const secret = 'a secret that strangers do not know';
const count = 300;

/** Connections that send nothing, and that their opener does not close. */
class Held {
  readonly sockets = new Set<Socket>();
  closed = 0;

  async open(port: number): Promise<void> {
    for (let opened = 0; opened < count; opened++) {
      const socket = connect(port, '127.0.0.1');
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.resume().on('end', () => socket.destroy());
      socket.on('close', () => {
        this.closed++;
        this.sockets.delete(socket);
      });
      await new Promise<void>((resolve) => socket.once('connect', resolve).once('close', resolve));
    }
  }
}

const descriptors = () => readdirSync('/proc/self/fd').length;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function control(): Promise<number> {
  const server = await ControlServer.start({ host: '127.0.0.1', port: 0, token: secret });
  closers.push(() => server.close());
  return server.port;
}

/** The first port on which rank 0 waits for rank 1. */
async function data(): Promise<number> {
  const lost = () => {};
  const about = { rank: 0, peers: [1], streams: 1, host: '127.0.0.1', scope: 'job 0', lost } as const;
  const transport = new TcpTransport({ ...about, secret, security: 'encrypted' });
  closers.push(() => transport.close());
  await transport.bind();
  const [endpoint] = Object.values(transport.endpoints);
  return Number(endpoint.split(':').pop());
}

describe('idle connections of strangers', needs('Linux', process.platform === 'linux'), () => {
  it.each([
    ['the control port', control],
    ['a data port', data],
  ] as const)('to %s are closed, and their descriptors freed', async (_what, listen) => {
    prepareSockets();
    const port = await listen();
    const before = descriptors();
    const held = new Held();
    await held.open(port);
    const most = descriptors();
    expect(most - before).toBeGreaterThan(count);
    await expect.poll(() => held.sockets.size, { timeout: 60_000 }).toBe(0);
    expect(held.closed).toBe(count);
    await expect.poll(() => descriptors() - before, { timeout: 10_000 }).toBeLessThan(10);
  });
});
