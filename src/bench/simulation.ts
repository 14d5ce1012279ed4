import { randomStream } from '../util/random.js';
import { largest } from '../util/extremes.js';
import { fillBuckets } from './buckets.js';

/** A network of hosts that are alike, and what a message costs their processors. */
export interface Network {
  /** Milliseconds from the end of a send to the start of its arrival. */
  hopMs: number;
  /** Milliseconds a byte on a host's link, in each direction. */
  byteMs: number;
  /** Milliseconds of a rank's processor for a message that it sends, and for one that it receives. */
  messageMs: number;
  /** Milliseconds of a rank's processor a byte that it packs, and a byte that it adds or copies. */
  handlingMs: number;
  /** Cores that all ranks share; default: each rank has its own. */
  cores?: number;
}

/** Algorithms of an all-reduce that can be simulated; halving and doubling over powers of two. */
export const simulated = ['one-shot', 'two-shot', 'ring', 'halving-doubling'] as const;
export type SimulatedAlgorithm = (typeof simulated)[number];

/** Longer messages are cut, as the algorithms cut them. */
const largestMessage = 1024 * 1024;

/** Messages of the stages of an algorithm: a rank sends all of a stage, then waits for as many. */
interface Schedule {
  stages: number;
  /** Number of ranks that a rank sends to in a stage. */
  peers: number;
  bytes(stage: number): number;
  to(rank: number, stage: number, index: number): number;
}

function scheduleOf(algorithm: SimulatedAlgorithm, ranks: number, bytes: number): Schedule {
  const part = bytes / ranks;
  const everyone = (rank: number, _stage: number, index: number) => (rank + 1 + index) % ranks;
  if (algorithm === 'one-shot') return { stages: 1, peers: ranks - 1, bytes: () => bytes, to: everyone };
  if (algorithm === 'two-shot') return { stages: 2, peers: ranks - 1, bytes: () => part, to: everyone };
  if (algorithm === 'ring')
    return { stages: 2 * (ranks - 1), peers: 1, bytes: () => part, to: (rank) => (rank + 1) % ranks };
  const levels = Math.log2(ranks);
  const levelOf = (stage: number) => (stage < levels ? stage : 2 * levels - 1 - stage);
  return {
    stages: 2 * levels,
    peers: 1,
    bytes: (stage) => bytes / 2 ** (levelOf(stage) + 1),
    to: (rank, stage) => rank ^ (2 ** levelOf(stage)),
  };
}

/** An all-reduce of a simulated step. */
interface Collective {
  bytes: number;
  algorithm: SimulatedAlgorithm;
  /** Time at which each rank has its values. */
  ready: readonly number[];
}

/**
 * Discrete-event simulation of all-reduces between ranks: when the last rank has the last result.
 *
 * An event is a message that begins to arrive, or has arrived, or a collective that a rank may begin. A rank's processor handles messages one
 * after another, and so do the two directions of its link; ranks may share processors. A message that a rank sends has to
 * wait for its processor, then for its link, travels for a hop, and waits for the receiver's link and processor. A rank
 * goes on to the next stage of an algorithm once it has all messages of the one before. Collective i goes in lane i modulo
 * `inFlight`, and each lane begins one when the one before it is over on this rank.
 */
export function simulate(
  network: Network,
  ranks: number,
  collectives: readonly Collective[],
  inFlight: number,
): number {
  const { hopMs, byteMs, messageMs, handlingMs, cores = ranks } = network;
  const schedules = collectives.map(({ algorithm, bytes }) => scheduleOf(algorithm, ranks, bytes));
  const mostStages = largest(schedules.map(({ stages }) => stages));
  const processor = new Float64Array(cores);
  const outgoing = new Float64Array(ranks);
  const incoming = new Float64Array(ranks);
  const chunks = (collective: number, stage: number) =>
    Math.max(1, Math.ceil(schedules[collective].bytes(stage) / largestMessage));
  /** Where each rank receives from one other alone, messages arrive in the order in which they are sent. */
  const oneSender = collectives.every(({ algorithm }) => algorithm === 'ring');
  /** Messages that have come, by collective, at [rank * stages + stage]. */
  const arrived = collectives.map((): Int16Array | undefined => undefined);
  /** Stage that each rank is in, by collective; and how many ranks have ended it. */
  const current = collectives.map(() => new Int16Array(ranks).fill(-1));
  const ended = new Int32Array(collectives.length);
  const events = new EventQueue();
  const place = (collective: number, rank: number, stage: number, begins: 0 | 1) =>
    2 * ((collective * ranks + rank) * (mostStages + 1) + stage + 1) + begins;
  let last = 0;

  /** Sends the messages of the stages that a rank can enter at `time`. */
  const advance = (collective: number, rank: number, time: number) => {
    const { stages, peers, bytes, to } = schedules[collective];
    const counts = (arrived[collective] ??= new Int16Array(ranks * stages));
    for (let now = time; ;) {
      const stage = ++current[collective][rank];
      if (stage === stages) return end(collective, rank, now);
      const parts = chunks(collective, stage);
      const size = bytes(stage) / parts;
      for (let index = 0; index < peers * parts; index++) {
        const peer = to(rank, stage, index % peers);
        const core = rank % cores;
        processor[core] = Math.max(processor[core], now) + messageMs + size * handlingMs;
        outgoing[rank] = Math.max(outgoing[rank], processor[core]) + size * byteMs;
        const begins = outgoing[rank] - size * byteMs + hopMs;
        if (oneSender) {
          incoming[peer] = Math.max(incoming[peer], begins) + size * byteMs;
          events.add(incoming[peer], place(collective, peer, stage, 0));
        } else events.add(begins, place(collective, peer, stage, 1));
      }
      if (counts[rank * stages + stage] < peers * parts) return;
      now = Math.max(now, processor[rank % cores]);
    }
  };

  const end = (collective: number, rank: number, time: number) => {
    last = Math.max(last, time);
    if (++ended[collective] === ranks) arrived[collective] = undefined;
    const next = collective + inFlight;
    if (next < collectives.length)
      events.add(Math.max(time, collectives[next].ready[rank]), place(next, rank, -1, 0));
  };

  for (const [collective, { ready }] of collectives.slice(0, inFlight).entries())
    ready.forEach((time, rank) => events.add(time, place(collective, rank, -1, 0)));
  for (let event = events.take(); event; event = events.take()) {
    const begins = event.place % 2;
    const at = (event.place - begins) / 2;
    const stage = (at % (mostStages + 1)) - 1;
    const whose = Math.floor(at / (mostStages + 1));
    const [collective, rank] = [Math.floor(whose / ranks), whose % ranks];
    if (stage < 0) {
      advance(collective, rank, event.time);
      continue;
    }
    const { stages, peers, bytes } = schedules[collective];
    const parts = chunks(collective, stage);
    const size = bytes(stage) / parts;
    if (begins) {
      incoming[rank] = Math.max(incoming[rank], event.time) + size * byteMs;
      events.add(incoming[rank], event.place - 1);
      continue;
    }
    const core = rank % cores;
    processor[core] = Math.max(processor[core], event.time) + messageMs + size * handlingMs;
    const counts = (arrived[collective] ??= new Int16Array(ranks * stages));
    if (++counts[rank * stages + stage] === peers * parts && current[collective][rank] === stage)
      advance(collective, rank, processor[core]);
  }
  return last;
}

/** Milliseconds of one all-reduce that all ranks begin at once. */
export function simulateAllReduce(
  network: Network,
  ranks: number,
  { bytes, algorithm }: { bytes: number; algorithm: SimulatedAlgorithm },
): number {
  return simulate(network, ranks, [{ bytes, algorithm, ready: new Array<number>(ranks).fill(0) }], 1);
}

/** Steps of data-parallel training. */
export interface SimulatedSteps {
  layers: readonly number[];
  /** Milliseconds of a rank's computation, a third forward and two thirds backward, every layer alike. */
  computeMs: number;
  bucketBytes: number;
  /** Buckets that may travel at once; 0: all after the computation, one after another. */
  inFlight: number;
  algorithmFor(bytes: number): SimulatedAlgorithm;
  /**
   * Stragglers: a rank's computation takes an exponentially distributed share more, in each step anew, of this mean;
   * default 0.
   */
  jitter?: number;
  /** Default 1. */
  steps?: number;
  /** Default 1. */
  seed?: number;
}

/** Mean milliseconds of a step, from its start to the last sum on the last rank. */
export function simulateSteps(network: Network, ranks: number, about: SimulatedSteps): number {
  const { layers, computeMs, inFlight, algorithmFor, jitter = 0, steps = 1, seed = 1 } = about;
  const buckets = fillBuckets(layers, about.bucketBytes);
  let total = 0;
  for (let step = 0; step < steps; step++) {
    const random = randomStream(seed, step);
    const compute = Array.from({ length: ranks }, () => {
      return computeMs * (1 - jitter * Math.log(1 - random.uniform()));
    });
    const collectives = buckets.map(({ start, end, layer }): Collective => {
      const done = inFlight > 0 ? 1 / 3 + ((2 / 3) * (layers.length - layer)) / layers.length : 1;
      const bytes = 4 * (end - start);
      return { bytes, algorithm: algorithmFor(bytes), ready: compute.map((time) => time * done) };
    });
    const slowest = compute.reduce((most, time) => Math.max(most, time), 0);
    total += Math.max(slowest, ranks > 1 ? simulate(network, ranks, collectives, Math.max(1, inFlight)) : 0);
  }
  return total / steps;
}

/** Events in the order of their times: a binary heap in two arrays. */
class EventQueue {
  private readonly times: number[] = [];
  private readonly places: number[] = [];

  add(time: number, place: number): void {
    const { times, places } = this;
    let at = times.length;
    times.push(time);
    places.push(place);
    for (; at > 0;) {
      const parent = (at - 1) >> 1;
      if (times[parent] <= time) break;
      times[at] = times[parent];
      places[at] = places[parent];
      at = parent;
    }
    times[at] = time;
    places[at] = place;
  }

  take(): { time: number; place: number } | undefined {
    const { times, places } = this;
    if (times.length === 0) return undefined;
    const first = { time: times[0], place: places[0] };
    const time = times.pop() as number;
    const place = places.pop() as number;
    const count = times.length;
    if (count === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && times[child + 1] < times[child]) child++;
      if (times[child] >= time) break;
      times[at] = times[child];
      places[at] = places[child];
      at = child;
    }
    times[at] = time;
    places[at] = place;
    return first;
  }
}
