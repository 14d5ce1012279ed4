import { streamThreads, type TraceSpan } from '../src/trace/tracer.js';

/** Times of one step of one rank, in milliseconds. */
export interface StepOverlap {
  step: number;
  /** Time in which the compute thread does not wait. */
  compute: number;
  /** Time in which gradients are on the wire: from when every rank has begun to sum them until this one has the sum. */
  reduceScatter: number;
  /** Time in which weights are on the wire. */
  allGather: number;
  /** Time in which small sums are on the wire that the pass waits for: batch statistics, the Gram matrix. */
  small: number;
  /** Time waited, for whatever reason, after the last rank has called, while gradients or weights are on the wire. */
  exposed: number;
  /** The part of `exposed` that is spent on a small sum, which comes after the bucket or shares the link with it. */
  queued: number;
  /** The other time waited: for a rank that has not called a small sum or begun a bucket, and for threads to wake. */
  late: number;
}

type Interval = readonly [start: number, end: number];

interface Collective {
  /** When the last rank has begun it. */
  begun: number;
  /** When the last rank's compute thread has begun to wait for it. */
  called: number;
}

/**
 * Splits the steps of every rank by what was on the wire while the compute thread waited.
 *
 * A collective is on the wire from when the last rank has begun it; what is before, is waiting for that rank. A small sum
 * blocks: it is called when a rank begins to wait for it. What is on the wire when a step ends is counted in either step
 * for its part there. Times are those of one clock.
 *
 * @param ranks spans by rank
 * @returns steps by rank, in order
 */
export function splitSteps(ranks: readonly (readonly TraceSpan[])[]): StepOverlap[][] {
  const collectives = new Map<number, Collective>();
  const about = (span: TraceSpan) =>
    collectives.get(span.details.collective as number) ?? { begun: 0, called: 0 };
  for (const span of ranks.flat()) {
    const { begun, called } = about(span);
    const { start } = span;
    const number = span.details.collective as number;
    if (isCollective(span)) collectives.set(number, { begun: Math.max(start, begun), called });
    else if (isWait(span)) collectives.set(number, { begun, called: Math.max(start, called) });
  }
  return ranks.map((spans) => {
    const wire = spans.filter(isCollective).map((span) => {
      const { name, end } = span;
      return { name, interval: [Math.min(about(span).begun, end), end] as const };
    });
    const waits = spans.filter(isWait).map((span) => {
      const small = !isBucket(String(span.details.for));
      const { start, end } = span;
      const from = small ? Math.min(Math.max(start, about(span).called), end) : start;
      return { small, whole: [start, end] as const, called: [from, end] as const };
    });
    return spans
      .filter(({ thread, name }) => thread === 'compute' && name === 'step')
      .map((step) => splitStep(step, waits, wire));
  });
}

function splitStep(
  { start, end }: TraceSpan,
  waits: readonly Wait[],
  wire: readonly { name: string; interval: Interval }[],
): StepOverlap {
  const within = (intervals: readonly Interval[]) =>
    intervals
      .filter(([from, to]) => to > start && from < end)
      .map(([from, to]): Interval => [Math.max(from, start), Math.min(to, end)]);
  const of = (test: (name: string) => boolean) =>
    within(wire.filter(({ name }) => test(name)).map(({ interval }) => interval));
  const called = within(waits.map((wait) => wait.called));
  const forSmall = within(waits.filter(({ small }) => small).map((wait) => wait.called));
  const buckets = union(of(isBucket));
  const total = length(within(waits.map(({ whole }) => whole)));
  return {
    step: (end - start) / 1000,
    compute: (end - start - total) / 1000,
    reduceScatter: length(of((name) => name.startsWith('reduceScatter gradients/'))) / 1000,
    allGather: length(of((name) => name.startsWith('allGather weights/'))) / 1000,
    small: length(of((name) => !isBucket(name))) / 1000,
    exposed: common(called, buckets) / 1000,
    queued: common(forSmall, buckets) / 1000,
    late: (total - common(called, union(of(() => true)))) / 1000,
  };
}

/** A time in which the compute thread waits. */
interface Wait {
  /** Whether it waits for something other than gradients or weights. */
  small: boolean;
  whole: Interval;
  /** The part of it after every rank has called what it is for. */
  called: Interval;
}

function isCollective({ thread, details }: TraceSpan): boolean {
  return (streamThreads as readonly string[]).includes(thread) && details.collective !== undefined;
}

function isWait({ thread, name }: TraceSpan): boolean {
  return thread === 'compute' && name === 'waiting';
}

/** Whether a collective carries gradients or weights. */
function isBucket(name: string): boolean {
  return /^(reduceScatter gradients|allGather weights)\//.test(name);
}

function length(intervals: readonly Interval[]): number {
  return intervals.reduce((sum, [start, end]) => sum + end - start, 0);
}

/** The same times without overlaps. */
function union(intervals: readonly Interval[]): Interval[] {
  const joined: [number, number][] = [];
  for (const [start, end] of intervals.toSorted(([one], [other]) => one - other)) {
    const last = joined.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else joined.push([start, end]);
  }
  return joined;
}

/** What two lists of intervals share, each list without overlaps. */
function common(some: readonly Interval[], others: readonly Interval[]): number {
  let sum = 0;
  for (const [start, end] of some)
    for (const other of others) sum += Math.max(0, Math.min(end, other[1]) - Math.max(start, other[0]));
  return sum;
}
