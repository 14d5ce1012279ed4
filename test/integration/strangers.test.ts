import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Workplace } from './command.js';
import { freePort } from './free-port.js';

/** Connects to the job's data ports hundreds of times without its secret, in four ways, until `stop`. */
class Strangers {
  /** Number of accepted connections. */
  taken = 0;
  /** Bytes that the strangers have received. */
  readonly heard: Buffer[] = [];
  private readonly sockets: Socket[] = [];
  private stopped = false;
  private readonly done: Promise<void>;

  constructor(private readonly ports: readonly number[]) {
    this.done = this.attack();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.done;
    for (const socket of this.sockets) socket.destroy();
  }

  private async attack(): Promise<void> {
    for (let turn = 0; !this.stopped; turn++) {
      for (const port of this.ports) this.visit(port, turn % 4);
      await delay(10);
    }
  }

  private visit(port: number, kind: number): void {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('data', (data) => this.heard.push(data));
    socket.on('connect', () => {
      this.taken++;
      if (kind === 0) socket.destroy();
      if (kind === 1) socket.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
      if (kind === 2) socket.write(Buffer.from('ff00000000000000017f0300', 'hex'));
      // Kind 3 keeps the connection open.
      if (kind === 3 && this.sockets.length < 200) this.sockets.push(socket);
      else setTimeout(() => socket.destroy(), 100);
    });
  }
}

describe('strangers at the data ports', () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  it('neither end a job nor receive anything about it', async () => {
    const first = await freePort();
    const ports = Array.from({ length: 8 }, (_, index) => first + index).filter((port) => port < 65_536);
    const strangers = new Strangers(ports);
    const command = place.start([
      ...['launch', '--workers', '2', '--backend', 'wasm', '--epochs', '1', '--out', 'run'],
      ...['--set', 'distributed.transport=tcp'],
      ...['--set', `distributed.dataPorts=${ports[0]}-${ports[ports.length - 1]}`],
    ]);
    const { code, stderr } = await command.ended;
    await strangers.stop();
    expect(stderr).toMatch(/strangers connect to the data ports of rank 0 on host /);
    expect(code, stderr).toBe(0);
    expect(strangers.taken).toBeGreaterThan(100);
    expect(Buffer.concat(strangers.heard).toString('latin1')).not.toMatch(/0-1|1-0|handshake/);
    expect(place.report('run')).toMatchObject({ worldSize: 2, epochs: 1, evalTotal: 360 });
    expect(place.leftovers()).toEqual([]);
  });
});

describe('distributed.dataPorts', () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  it('ends the job with an error if there are too few ports', async () => {
    const port = await freePort();
    const tcp = ['--set', 'distributed.transport=tcp'];
    const few = ['--set', `distributed.dataPorts=${port}-${port}`];
    const { code, stderr } = await place.run('launch', '--workers', '2', '--backend', 'wasm', ...tcp, ...few);
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`all ports of distributed.dataPorts ${port}-${port} are in use`));
  });

  it.each(['20000', '200-100'])('rejects %s', async (range) => {
    const { code, lastLine } = await place.run('launch', '--set', `distributed.dataPorts=${range}`);
    expect(code).toBe(2);
    expect(lastLine).toMatch(/dataPorts.*range of ports/);
  });
});
