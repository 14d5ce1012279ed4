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
 * Waits until the pending receives of closed sockets have been rejected, which happens in a later turn of the event
 * loop; a thread that ends before makes them meet a torn-down environment.
 */
export async function socketsClosed(): Promise<void> {
  await delay(20);
}
