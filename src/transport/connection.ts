/** A message between two ranks: a header (`wire.ts`) and a payload, empty or not. */
export interface Message {
  header: Uint8Array;
  payload: Uint8Array;
}

/**
 * Connection of this rank with one peer in one stream, in both directions: messages arrive once, whole and in order,
 * or not at all. Its transport reports lost peers.
 */
export interface Connection {
  readonly peer: number;
  readonly stream: number;

  /**
   * Sends a message after those before it. Some transports send the payload from where it lies: leave it alone until the
   * peer is known to have it.
   */
  send(header: Uint8Array, payload: Uint8Array): void;

  /**
   * The next message. Within a host (`host/`) the call blocks and returns it; all other transports return a promise that
   * never times out: race it against the end of the collective.
   *
   * @param bytes expected length of the payload; one of another length arrives all the same
   * @param into memory that a transport may put the payload into; the message then has this very array
   */
  receive(bytes: number, into?: Uint8Array): Message | Promise<Message>;

  /**
   * The next message if it is there already; `receive` returns it again. Call it only while no `receive` is pending.
   */
  look(): Message | undefined;

  /** Resolves once the connection is closed and its resources are free. */
  close(): Promise<void>;
}

/** Addresses at which a rank listens, by the name of the connection. */
export type Endpoints = Record<string, string>;

/** Options of every kind of transport. */
export interface TransportOptions {
  rank: number;
  /** Ranks that it connects this one with. */
  peers: readonly number[];
  /** Number of connections with each peer. */
  streams: number;
  /** Called for each peer whose connection ends, perhaps more than once. */
  lost(peer: number): void;
}

/**
 * A way to connect ranks. Of two ranks the lower one listens. Use: `bind`, publish `endpoints`, get everybody's,
 * `connect`, `close`.
 */
export interface Transport {
  readonly name: string;
  /** Listens for every higher rank. */
  bind(): Promise<void>;
  /** Addresses at which higher ranks find this one; complete after `bind`. */
  readonly endpoints: Endpoints;
  /** Connects to every lower rank; returns the connections with all peers, which may not be up yet. */
  connect(table: Readonly<Record<number, Endpoints>>): Connection[];
  /** Number of connections so far from processes that do not know the job's secret. */
  readonly strangers: number;
  close(): Promise<void>;
}

/** Names one direction of a connection. */
export function directionName(from: number, to: number, stream: number): string {
  return `${from}-${to}.${stream}`;
}
