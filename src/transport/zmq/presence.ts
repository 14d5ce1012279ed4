import type * as zmq from 'zeromq';

/**
 * Tells the peer of a listening socket from strangers. ZeroMQ gives the socket to the first connection whose CURVE
 * handshake succeeds; others it closes, when they fail or at the handshake's deadline. Its events do not say which
 * connection they are about, so connections are counted: once the peer has been there, it is lost when none is left.
 * A stranger who is there at that moment delays this to the handshake's deadline at most.
 */
export class Presence {
  /** Connections that have ended without taking the socket. */
  strangers = 0;
  private open = 0;
  private known = false;

  constructor(socket: zmq.Pair, lost: () => void) {
    socket.events.on('accept', () => void this.open++);
    socket.events.on('handshake', () => void (this.known = true));
    socket.events.on('disconnect', () => {
      this.open--;
      if (this.known && this.open === 0) lost();
      else this.strangers++;
    });
  }
}
