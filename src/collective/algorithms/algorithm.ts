import type { Kind, WireType } from '../../transport/wire.js';
import type { Context } from '../context.js';
import type { Steps } from '../steps.js';

/**
 * Work of a rank in one collective: messages that it awaits one after another, at most, and messages and bytes that it
 * sends.
 */
export interface Cost {
  hops: number;
  messages: number;
  bytes: number;
}

/** Size of a collective: bytes, ranks, and the hosts that the ranks lie on evenly (default 1). */
export interface Shape {
  bytes: number;
  worldSize: number;
  hosts?: number;
}

/** A way to carry out collectives. `../selection.ts` decides where it is used. */
export interface Algorithm {
  /** Name in settings, traces and `pod-dist bench`. */
  readonly name: string;
  /** The collectives that it carries out. */
  readonly collectives: { readonly [Collective in Kind]?: (context: Context) => Steps };
  /**
   * Order in which values of the ranks are combined: in `pairs` of ranks, from which a power of two of ranks gets the
   * same bits as any other; or in an order of its own.
   */
  readonly summation: 'pairs' | 'own' | 'none';
  /** Type that values travel as. */
  readonly wire: WireType | 'any';
  cost(collective: Kind, shape: Shape): Cost;
  /** Whether it can carry out this call; default: always. */
  fits?(context: Context): boolean;
}
