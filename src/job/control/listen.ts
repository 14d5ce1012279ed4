import * as zmq from 'zeromq';
import { messageOf, UserError } from '../../util/errors.js';
import { needsIpv6, tcpAddress } from '../../transport/addresses.js';
import { deriveKeyPair } from '../../transport/keys.js';
import { maxFrameBytes } from './frames.js';

export interface ListenOptions {
  /** Address to listen on; `*`: on all of this host. */
  host: string;
  /** 0: any free port. */
  port: number;
  /** Advice for the error if the port is taken; default: that of `pod-dist launch`. */
  portAdvice?: string;
  /** The job's secret: only a process that knows it gets a connection. */
  token: string;
}

/** At least the bytes that CURVE adds to a frame. */
const curveBytes = 256;
/** A handshake takes milliseconds, and a worker tries again; a stranger's connection is not kept longer than this. */
const handshakeMs = 3000;
/** Frames that wait for a worker that does not read them, and of a worker that the coordinator has not yet read. */
const queuedOut = 4096;
const queuedIn = 256;

/**
 * The socket that workers reach the coordinator through: ROUTER with CURVE. Workers choose
 * random names of 128 bits, so that a name can neither be guessed nor taken over.
 *
 * @throws UserError `PORT_IN_USE` where the port is taken, `ADDRESS_INVALID` where the address is not this host's
 */
export async function listen({ host, port, portAdvice, token }: ListenOptions): Promise<zmq.Router> {
  const { publicKey, secretKey } = deriveKeyPair(token, 'control');
  const socket = new zmq.Router({
    mandatory: true,
    handover: false,
    linger: 500,
    maxMessageSize: maxFrameBytes + curveBytes,
    handshakeInterval: handshakeMs,
    sendHighWaterMark: queuedOut,
    receiveHighWaterMark: queuedIn,
    sendTimeout: 0,
    ipv6: needsIpv6(host),
    curveServer: true,
    curveSecretKey: secretKey,
    curvePublicKey: publicKey,
  });
  const address = tcpAddress(host, port === 0 ? '*' : port);
  try {
    await socket.bind(address);
  } catch (error) {
    socket.close();
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      throw new UserError(
        'PORT_IN_USE',
        `port ${port} of ${host === '*' ? 'this host' : host} is in use: ${portAdvice ?? 'give another --port, or none for any free one'}`,
      );
    }
    throw new UserError('ADDRESS_INVALID', `cannot listen on ${address}: ${messageOf(error)}`);
  }
  return socket;
}
