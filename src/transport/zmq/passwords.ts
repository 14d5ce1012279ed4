import { timingSafeEqual } from 'node:crypto';
import * as zmq from 'zeromq';
import { deriveKey } from '../keys.js';

/** Where ZeroMQ asks whether a connection may be taken (RFC 27, ZAP), for all sockets of the process. */
const handlerAddress = 'inproc://zeromq.zap.01';

/**
 * Passwords of data connections, one for each direction, derived from the job's secret. A stranger's connection is closed
 * before it can send a message. Whoever listens in on the network can take a password from it, and with it the place of a
 * connection that is not up yet, but no more: messages have keys of their own.
 */
export class Passwords {
  private constructor(private readonly socket: zmq.Reply) {}

  static of(secret: string, scope: string, direction: string): string {
    return deriveKey(secret, `password ${scope} ${direction}`).toString('hex');
  }

  /** Answers for all listening sockets of this process, whose domain is the name of their direction, until it is closed. */
  static async serve(secret: string, scope: string): Promise<Passwords> {
    const socket = new zmq.Reply({ linger: 0 });
    await socket.bind(handlerAddress);
    const accepts = (domain: string, password: Buffer) => {
      const expected = Buffer.from(Passwords.of(secret, scope, domain));
      return password.length === expected.length && timingSafeEqual(password, expected);
    };
    void answer(socket, accepts).catch(() => {});
    return new Passwords(socket);
  }

  close(): void {
    this.socket.close();
  }
}

/** CURVE sockets, such as a coordinator's in this process, have done their own check when they ask. */
async function answer(socket: zmq.Reply, accepts: (domain: string, password: Buffer) => boolean): Promise<void> {
  for await (const [version, id, domain, , , mechanism, , password] of socket) {
    const known = mechanism?.toString() === 'CURVE' || accepts(domain.toString(), password ?? Buffer.alloc(0));
    await socket.send([version, id, known ? '200' : '400', known ? 'OK' : 'unknown', '', '']);
  }
}
