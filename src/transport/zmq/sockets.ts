import { setTimeout as delay } from 'node:timers/promises';
import * as zmq from 'zeromq';

/** More than ZeroMQ's 1,023: a peer takes twelve, a connection for each stream and direction and two to watch each. */
const maxSockets = 16_384;

/**
 * Gives the process's one ZeroMQ context two I/O threads, one for each direction of a ring, and room for the sockets of
 * a thousand peers. It takes effect only before the first socket of the process is made, in whichever thread that is.
 */
export function prepareSockets(): void {
  zmq.context.ioThreads = 2;
  zmq.context.maxSockets = maxSockets;
}

/**
 * Resolves once a socket that is closed later reports no more events; watch it from the socket's start. A thread that ends
 * before would tear down the connection that reports them, which aborts the process.
 */
export function eventsEnd(socket: zmq.Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.events.on('end', () => resolve());
  });
}

/**
 * Waits until the pending receives of closed sockets have been rejected, which happens in a later turn of the event
 * loop; a thread that ends before makes them meet a torn-down environment.
 */
export async function socketsClosed(): Promise<void> {
  await delay(20);
}
