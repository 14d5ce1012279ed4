import type { ReducingKind, WireType } from '../transport/wire.js';
import type { AlgorithmName } from './algorithm-names.js';
import type { Algorithm, Shape } from './algorithms/algorithm.js';
import { barrier } from './algorithms/barrier.js';
import { chain } from './algorithms/chain.js';
import { compressedRing } from './algorithms/compressed-ring.js';
import { halvingDoubling } from './algorithms/halving-doubling.js';
import { hierarchical } from './algorithms/hierarchical.js';
import { algorithms } from './algorithms/index.js';
import { neighbour } from './algorithms/neighbour.js';
import { oneShot } from './algorithms/one-shot.js';
import { ring } from './algorithms/ring.js';
import { sharedMemory } from './algorithms/shared-memory.js';
import { twoShot } from './algorithms/two-shot.js';
import type { Context } from './context.js';
import type { Steps } from './steps.js';

/** Thresholds between the algorithms of a collective; src/collective/README.md has the measurements. */
export interface Thresholds {
  /** The algorithm of every collective that it can carry out; default `auto`: by the following. */
  algorithm?: AlgorithmName | 'auto';
  /** Whether ranks of one host share memory, where they can; default `auto`: they do. */
  sharedMemory?: 'auto' | 'off';
  /** Blocking calls of at most this many bytes do not wait for others (`streams.ts`). */
  urgentBytes: number;
  /** A blocking all-reduce within a host takes one shot where a rank sends at most this much, else two. */
  pipeBytes: number;
  /** One shot may send up to this many bytes more than the least possible. */
  directBytes: number;
  /** Bytes of a payload from which on the ring is taken. */
  ringBytes: number;
  /** Bytes of a payload from which on it travels within hosts and then across, where ranks share hosts. */
  hierarchicalBytes: number;
  /** Buckets of gradients, or weights, that may travel at once; default: as many as there are lanes. */
  bucketsInFlight?: number;
  /** Bytes that a link between hosts carries in the time of a hop; default 131,072. */
  hopBytes?: number;
  /** Bytes that it carries in the time that a rank needs to send and receive a message; default 32,768. */
  messageBytes?: number;
}

/** Hosts from which on the cheapest algorithm across them is taken, by its hops, messages and bytes. */
const manyHosts = 4;
/** Only the ring adds up one chunk while the next one arrives; all others take this many times as long for a byte. */
const oneAfterAnother = 1.25;
const defaultLink: LinkCosts = { hopBytes: 131_072, messageBytes: 32_768 };

/** What a link between hosts carries in the time of a hop, and of a message that a rank sends and receives. */
export interface LinkCosts {
  hopBytes: number;
  messageBytes: number;
}

/** Chooses the algorithm of a collective by what is equal on all ranks: its size, the ranks and where they are. */
export class Selection {
  private readonly named: Algorithm | undefined;

  constructor(private readonly thresholds: Thresholds) {
    this.named = algorithms.find(({ name }) => name === thresholds.algorithm);
  }

  choose(context: Context): Algorithm {
    const { kind, wire } = context.command;
    if (this.sharesMemory(context)) return sharedMemory;
    if (kind === 'broadcast') return chain;
    if (kind === 'barrier') return barrier;
    if (kind === 'shift') return neighbour;
    const collective = kind as ReducingKind;
    if (this.named === hierarchical ? hierarchical.fits?.(context) : this.isLargeOverHosts(context))
      return hierarchical;
    return this.flat(collective, context, wire);
  }

  /** Chooses for a phase of a collective, over a group of ranks, and begins it. */
  *runFlat(collective: ReducingKind, context: Context, wire: WireType): Steps {
    if (context.worldSize > 1) yield* begin(this.flat(collective, context, wire), collective, context);
  }

  private sharesMemory(context: Context): boolean {
    return !this.named && context.command.wire === 'float32' && sharedMemory.fits?.(context) === true;
  }

  private isLargeOverHosts(context: Context): boolean {
    const { named, thresholds } = this;
    return !named && context.bytes >= thresholds.hierarchicalBytes && hierarchical.fits?.(context) === true;
  }

  private flat(collective: ReducingKind, context: Context, wire: WireType): Algorithm {
    if (wire === 'bf16') return compressedRing;
    const { named } = this;
    if (named && named !== hierarchical && named.collectives[collective] && (named.fits?.(context) ?? true))
      return named;
    if (context.worldSize >= manyHosts && context.hosts >= manyHosts)
      return this.cheapest(collective, context);
    const { bytes, worldSize, copies } = context;
    const { directBytes, pipeBytes, ringBytes } = this.thresholds;
    if (bytes >= ringBytes && ring.fits?.(context)) return ring;
    if (collective !== 'allReduce' || !oneShot.fits?.(context)) return twoShot;
    const shape = { bytes, worldSize };
    const sent = oneShot.cost(collective, shape).bytes;
    const few = copies ? pipeBytes : directBytes + twoShot.cost(collective, shape).bytes;
    return sent <= few ? oneShot : twoShot;
  }

  /** Chooses for ranks of many hosts, by the bytes that the link would carry in the time that an algorithm takes. */
  private cheapest(collective: ReducingKind, context: Context): Algorithm {
    const { ringBytes } = this.thresholds;
    const { bytes, worldSize } = context;
    const candidates = [twoShot, halvingDoubling, oneShot, ...(bytes >= ringBytes ? [ring] : [])].filter(
      ({ collectives, fits }) => collectives[collective] && (fits?.(context) ?? true),
    );
    return cheapest(candidates, collective, { bytes, worldSize }, { ...defaultLink, ...this.thresholds });
  }
}

/** The algorithm that takes the least time over many hosts, counted in bytes of a link. */
export function cheapest(
  candidates: readonly Algorithm[],
  collective: ReducingKind,
  shape: Shape,
  { hopBytes, messageBytes }: LinkCosts,
): Algorithm {
  const time = (algorithm: Algorithm) => {
    const { hops, messages, bytes } = algorithm.cost(collective, shape);
    return (algorithm === ring ? 1 : oneAfterAnother) * bytes + hopBytes * hops + messageBytes * messages;
  };
  return candidates.reduce((best, one) => (time(one) < time(best) ? one : best));
}

/** Begins an algorithm. */
export function begin(
  algorithm: Algorithm,
  collective: keyof Algorithm['collectives'],
  context: Context,
): Steps {
  const run = algorithm.collectives[collective];
  if (!run) throw new RangeError(`${algorithm.name} carries out no ${collective}`);
  return run(context);
}
