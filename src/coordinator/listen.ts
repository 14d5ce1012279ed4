import * as zmq from 'zeromq';
import { messageOf, UserError } from '../errors.js';

export interface ListenOptions {
  /** Address to listen on. */
  host: string;
  /** 0: any free port. */
  port: number;
  /** CURVE keys: the connection is encrypted, and only who knows the public key gets in. */
  keys?: { publicKey: string; secretKey: string };
}

/**
 * The socket that workers reach the coordinator through.
 *
 * @throws UserError `PORT_IN_USE` where the port is taken, `ADDRESS_INVALID` where the address is not this host's
 */
export async function listen({ host, port, keys }: ListenOptions): Promise<zmq.Router> {
  const security = keys
    ? { curveServer: true, curveSecretKey: keys.secretKey, curvePublicKey: keys.publicKey }
    : {};
  const socket = new zmq.Router({
    linger: 500,
    maxMessageSize: 64 * 2 ** 20,
    sendHighWaterMark: 0,
    ...security,
  });
  const address = `tcp://${host}:${port === 0 ? '*' : port}`;
  try {
    await socket.bind(address);
  } catch (error) {
    socket.close();
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      throw new UserError(
        'PORT_IN_USE',
        `port ${port} of ${host} is in use: give another --port, or none for any free one`,
      );
    }
    throw new UserError('ADDRESS_INVALID', `cannot listen on ${address}: ${messageOf(error)}`);
  }
  return socket;
}
