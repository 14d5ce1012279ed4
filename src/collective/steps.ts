import type { Connection, Message } from '../transport/connection.js';

/** Request of an algorithm for the next message of a connection, or for what else it waits for. */
export interface Receive {
  connection: Pick<Connection, 'receive'>;
  /** Payload bytes that are expected. */
  bytes: number;
  /** Memory that the payload may be put into. */
  into?: Uint8Array;
}

/**
 * An algorithm under way. It sends by itself and yields each message that it waits for, so that it is written once: a
 * thread that serves several collectives awaits each message, and a thread that needs the result at once blocks in it.
 */
export type Steps<Result = void> = Generator<Receive, Result, Message>;

/** Carries out an algorithm; other work of this thread goes on while it waits. */
export async function drive(steps: Steps): Promise<void> {
  for (let next = steps.next(); !next.done;) {
    const { connection, bytes, into } = next.value;
    next = steps.next(await connection.receive(bytes, into));
  }
}

/** Carries out an algorithm over connections that block. */
export function driveBlocking(steps: Steps): void {
  for (let next = steps.next(); !next.done;) {
    const { connection, bytes, into } = next.value;
    next = steps.next(connection.receive(bytes, into) as Message);
  }
}
