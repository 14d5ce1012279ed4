/** A message between two ranks: a header (`wire.ts`) and a payload, empty or not. */
export interface Message {
  header: Uint8Array;
  payload: Uint8Array;
}

/**
 * What connects this rank with one peer in one stream, in both directions: messages arrive once, whole and in order, or
 * not at all. It says nothing about lost peers: its transport does.
 */
export interface Connection {
  readonly peer: number;
  readonly stream: number;

  /**
   * Sends a message after those before it. Leave the payload alone until the peer is known to have it, unless the
   * transport `copies`.
   */
  send(header: Uint8Array, payload: Uint8Array): void;

  /**
   * The next message. A transport whose connections `block` returns it, after a wait; others return a promise that never
   * times out: race it against what ends the collective.
   *
   * @param bytes how long a payload is expected; another one arrives all the same
   * @param into where a transport may put the payload; the message then has this very array
   */
  receive(bytes: number, into?: Uint8Array): Message | Promise<Message>;

  /** The next message if it is there already; `receive` returns it again. Only while nobody receives. */
  look(): Message | undefined;

  /** Resolves once the connection is closed and its resources are free. */
  close(): Promise<void>;
}

/** What a rank tells others of where it listens, by the name of the connection. */
export type Endpoints = Record<string, string>;

/** What every kind of transport is made from. */
export interface TransportOptions {
  rank: number;
  /** The ranks that it connects this one with. */
  peers: readonly number[];
  /** Connections with each peer. */
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
  /** Where higher ranks find this one; complete after `bind`. */
  readonly endpoints: Endpoints;
  /** Connects to every lower rank; returns the connections with all peers, which may not be up yet. */
  connect(table: Readonly<Record<number, Endpoints>>): Connection[];
  /** Connections of strangers so far: of who does not know the job's secret. */
  readonly strangers: number;
  close(): Promise<void>;
}

/** Names one direction of a connection. */
export function directionName(from: number, to: number, stream: number): string {
  return `${from}-${to}.${stream}`;
}
