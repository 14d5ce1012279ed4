import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as zmq from 'zeromq';
import { controlSocket } from '../../src/job/control/client.js';
import { toFrames } from '../../src/job/control/frames.js';
import { encode, protocolVersion } from '../../src/job/control/protocol.js';
import { deriveKeyPair } from '../../src/transport/keys.js';
import { paced, smallModel, until, Workplace } from './command.js';
import { freePort } from './free-port.js';

/** A client that can reach the coordinator's port, but does not know the job's secret. */
class Stranger {
  private readonly sockets: { close(): void }[] = [];
  private readonly connections: Socket[] = [];

  constructor(private readonly port: number) {}

  /** Sends hello as rank 1, a gathered part and a failure, over sockets without key, with an empty and with a wrong secret. */
  async joins(): Promise<void> {
    const hello = {
      type: 'hello',
      version: protocolVersion,
      rank: 1,
      worldSize: 2,
      host: 'evil',
      machine: 'evil',
      pid: 1,
      digest: '',
    } as const;
    const part = { epoch: 0, trainLoss: 0, totals: {}, seconds: 0, times: {} };
    const messages = [
      hello,
      { type: 'gather', name: 'epoch', part },
      { type: 'failed', code: 'KILLED', message: 'over', user: true },
    ] as const;
    const open = [
      new zmq.Dealer({ linger: 0, sendTimeout: 0 }),
      controlSocket(this.address, ''),
      controlSocket(this.address, 'guess'),
    ];
    for (const socket of open) {
      this.sockets.push(socket);
      socket.connect(this.address);
      for (const message of messages)
        for (const frame of toFrames(encode(message))) await socket.send(frame).catch(() => {});
    }
  }

  /**
   * Connects with the routing ids that ZeroMQ would give next to peers without one, then without a routing id: over sockets
   * without and with a wrong key, or with the key of `secret`.
   */
  async takesNumbers(secret?: string): Promise<void> {
    for (let number = 0; number <= 64; number++) {
      const name = Buffer.alloc(5);
      name.writeUInt32BE(firstNumber + number, 1);
      // Bytes, not text: most of these ids are not valid UTF-8.
      const named = number < 64 ? { routingId: name as unknown as string } : {};
      const keys = secret === undefined ? [{}, keysOf('guess')] : [keysOf(secret)];
      for (const key of keys) {
        const socket = new zmq.Dealer({ linger: 0, sendTimeout: 0, ...named, ...key });
        this.sockets.push(socket);
        socket.connect(this.address);
        await socket.send(Buffer.of(0, 1)).catch(() => {});
        if (number >= 63) await delay(500);
      }
    }
  }

  /** Opens connections that send nothing, HTTP, garbage, a ZeroMQ greeting, or a greeting and a frame of 4 GB. */
  async connects(count: number): Promise<void> {
    const greeting = Buffer.concat([
      Buffer.of(0xff),
      Buffer.alloc(8),
      Buffer.of(0x7f, 3, 1),
      Buffer.from('CURVE'),
      Buffer.alloc(47),
    ]);
    const endless = Buffer.concat([
      greeting,
      Buffer.of(0x06, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
      Buffer.alloc(100_000),
    ]);
    const words = ['', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', Buffer.alloc(2000, 0x91), greeting, endless];
    for (let number = 0; number < count; number++) {
      const socket = connect(this.port, '127.0.0.1');
      socket.on('error', () => {});
      this.connections.push(socket);
      await Promise.race([once(socket, 'connect').catch(() => {}), delay(1000)]);
      socket.write(words[number % words.length]);
      if (number % 10 === 0) socket.destroy();
    }
  }

  leave(): void {
    for (const socket of this.sockets) socket.close();
    for (const socket of this.connections) socket.destroy();
  }

  private get address(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }
}

/** First value of C's `rand()` without a seed: ZeroMQ counts routing ids from it. */
const firstNumber = 1_804_289_383;

function keysOf(secret: string) {
  const { publicKey, secretKey } = zmq.curveKeyPair();
  const curveServerKey = deriveKeyPair(secret, 'control').publicKey;
  return { curveServerKey, curvePublicKey: publicKey, curveSecretKey: secretKey };
}

describe('a job of torchrun attacked by a stranger', () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  it('trains the same bits as an undisturbed job', { timeout: 300_000 }, async () => {
    const start = (rank: number, port: number, out: string) =>
      place.start(['worker', '--backend', 'wasm', '--set', smallModel, '--epochs', '2', '--out', out], {
        ...paced(100),
        RANK: String(rank),
        WORLD_SIZE: '2',
        LOCAL_RANK: String(rank),
        MASTER_ADDR: 'localhost',
        MASTER_PORT: String(port),
      });
    const attacked = await freePort();
    const first = start(0, attacked, 'attacked');
    const stranger = new Stranger(attacked);
    try {
      await until('the coordinator', () => (isListening(attacked) ? true : undefined), 60_000);
      await stranger.joins();
      await stranger.takesNumbers();
      await stranger.connects(200);
      const second = start(1, attacked, 'attacked');
      await until('a first epoch', () => place.epochs('attacked') || undefined, 90_000);
      await stranger.joins();
      await stranger.takesNumbers();
      await stranger.connects(200);
      for (const ended of [await first.ended, await second.ended])
        expect(ended, ended.stderr).toMatchObject({ code: 0 });
    } finally {
      stranger.leave();
    }
    await place.train(2, [smallModel, 'epochs=2'], { out: 'alone' });
    const { weightsSha256, evalCorrect, evalTotal } = place.report('attacked');
    expect(evalTotal).toBe(360);
    expect(place.leftovers()).toEqual([]);
    expect(place.report('alone')).toMatchObject({ weightsSha256, evalCorrect });
  });
});

describe('a malicious member that knows the secret and takes routing ids of ZeroMQ', () => {
  let place: Workplace;
  beforeEach(() => void (place = new Workplace()));
  afterEach(() => place.clear());

  it('can end the job, but does not damage its checkpoints and record', async () => {
    const port = await freePort();
    const secret = 'a secret that a member knows';
    const ranks = ['0', '1'].map((rank) =>
      place.start(['worker', '--backend', 'wasm', '--set', smallModel, '--epochs', '500', '--out', 'run'], {
        ...paced(30),
        ...{ RANK: rank, WORLD_SIZE: '2', MASTER_ADDR: 'localhost', MASTER_PORT: String(port) },
        POD_DIST_TOKEN: secret,
      }),
    );
    await until('a first epoch', () => place.epochs('run') || undefined, 90_000);
    const member = new Stranger(port);
    await member.takesNumbers(secret).finally(() => member.leave());
    const ended = await Promise.race([Promise.all(ranks.map((rank) => rank.ended)), delay(10_000)]);
    expect(ended?.[1]).toMatchObject({ code: 1, lastLine: expect.stringMatching(/rank 0|coordinator/) });
    const evaluated = await place.run('evaluate', '--checkpoint', 'run', '--backend', 'wasm');
    expect(evaluated, evaluated.stderr).toMatchObject({ code: 0 });
    expect(place.metrics('run').steps.length).toBeGreaterThan(0);
  });
});

function isListening(port: number): boolean {
  const listening = '0A';
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .some((line) => line.includes(` ${address} `) && line.includes(` ${listening} `));
}
