import type { Kind, WireType } from '../../transport/wire.js';
import type { Context } from '../context.js';
import type { Steps } from '../steps.js';

/** What a rank has to do for one collective: messages that it waits for one after another, at most, and bytes that it sends. */
export interface Cost {
  hops: number;
  bytes: number;
}

/** Of how many bytes, over how many ranks, which lie evenly on so many hosts (default 1). */
export interface Shape {
  bytes: number;
  worldSize: number;
  hosts?: number;
}

/** A way to carry out collectives. Whether and where it is used says `../selection.ts`. */
export interface Algorithm {
  /** As settings, traces and `pod-dist bench` call it. */
  readonly name: string;
  /** The collectives that it carries out. */
  readonly collectives: { readonly [Collective in Kind]?: (context: Context) => Steps };
  /**
   * In which order values of the ranks are combined: in `pairs` of ranks, from which a power of two of ranks gets the
   * same bits as any other; or in an order of its own.
   */
  readonly summation: 'pairs' | 'own' | 'none';
  /** How values travel. */
  readonly wire: WireType | 'any';
  cost(collective: Kind, shape: Shape): Cost;
  /** Whether it can carry out this very call; default: always. */
  fits?(context: Context): boolean;
}
