import { timingSafeEqual } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import * as zmq from 'zeromq';
import { deriveKey } from '../keys.js';

/** Address at which ZeroMQ asks whether a connection may be taken (RFC 27, ZAP), for all sockets of the process. */
const handlerAddress = 'inproc://zeromq.zap.01';
/** A handler that was closed is gone a moment later. */
const attempts = 200;
const attemptMs = 10;

/** Passwords by domain, of which each listening socket has its own. */
const accepted = new Map<string, Buffer>();
let handler: Promise<zmq.Reply> | undefined;

/**
 * Passwords of data connections, one for each direction, derived from the job's secret. A stranger's connection is closed
 * before it can send a message. Whoever listens in on the network can take a password from it, and with it the place of a
 * connection that is not up yet, but no more: messages have keys of their own.
 */
export class Passwords {
  private readonly domains: string[] = [];
  private serves = false;

  constructor(
    private readonly secret: string,
    private readonly scope: string,
  ) {}

  /** Answers for listening sockets of this thread, until it is closed. One thread of a process can do so at a time. */
  async serve(): Promise<void> {
    this.serves = true;
    handler ??= startHandler();
    await handler;
  }

  /** Options of the socket that listens for one direction; its connections are checked from now on. */
  forListening(direction: string): zmq.SocketOptions<zmq.Pair> {
    const zapDomain = `${this.scope} ${direction}`;
    this.domains.push(zapDomain);
    accepted.set(zapDomain, Buffer.from(this.of(direction)));
    return { plainServer: true, zapDomain };
  }

  /** Options of the socket that connects. */
  forConnecting(direction: string): zmq.SocketOptions<zmq.Pair> {
    return { plainUsername: direction, plainPassword: this.of(direction) };
  }

  async close(): Promise<void> {
    for (const domain of this.domains.splice(0)) accepted.delete(domain);
    if (!this.serves || accepted.size > 0 || !handler) return;
    const ending = handler;
    handler = undefined;
    (await ending.catch(() => undefined))?.close();
  }

  private of(direction: string): string {
    return deriveKey(this.secret, `password ${this.scope} ${direction}`).toString('hex');
  }
}

async function startHandler(): Promise<zmq.Reply> {
  const socket = new zmq.Reply({ linger: 0 });
  for (let attempt = 1; ; attempt++) {
    try {
      await socket.bind(handlerAddress);
      break;
    } catch (error) {
      if (attempt === attempts) throw error;
      await delay(attemptMs);
    }
  }
  void answer(socket).catch(() => {});
  return socket;
}

/** CURVE sockets, such as a coordinator's in this process, have done their own check when they ask. */
async function answer(socket: zmq.Reply): Promise<void> {
  for await (const [version, id, domain, , , mechanism, , password] of socket) {
    const known = String(mechanism) === 'CURVE' || isAccepted(String(domain), password);
    await socket.send([version ?? '', id ?? '', known ? '200' : '400', known ? 'OK' : 'unknown', '', '']);
  }
}

function isAccepted(domain: string, password: Buffer | undefined): boolean {
  const expected = accepted.get(domain);
  return (
    expected !== undefined && password?.length === expected.length && timingSafeEqual(password, expected)
  );
}
