import type { TraceSpan } from '../src/trace/tracer.js';

/** What one step of one rank spends its time on, in milliseconds. */
export interface StepOverlap {
  step: number;
  /** Not waiting. */
  compute: number;
  /** Gradients on the wire: every rank has begun to sum them, this one has not ended. */
  reduceScatter: number;
  /** Weights on the wire. */
  allGather: number;
  /** Small sums on the wire that the pass waits for: batch statistics, the Gram matrix. */
  small: number;
  /** Waiting while gradients or weights are on the wire, whatever is waited for. */
  exposed: number;
  /** Of that, waiting for a small sum, which comes after the bucket. */
  queued: number;
  /** Waiting while nothing of this rank is on the wire: for a rank that is not as far, and for threads to wake. */
  late: number;
}

type Interval = readonly [start: number, end: number];

interface Collective {
  name: string;
  /** When the last rank has begun it. */
  begun: number;
}

/**
 * Splits the steps of every rank by what was on the wire while the compute thread waited.
 *
 * A collective is on the wire from when the last rank has begun it; what is before, is waiting for that rank. An
 * engine serves one collective at a time, so a rank's intervals do not meet. What is on the wire when a step ends is
 * counted in either step for its part there. Times are those of one clock.
 *
 * @param ranks spans by rank
 * @returns steps by rank, in order
 */
export function splitSteps(ranks: readonly (readonly TraceSpan[])[]): StepOverlap[][] {
  const collectives = new Map<number, Collective>();
  for (const { name, start, details } of ranks.flat().filter(isCollective)) {
    const number = details.collective as number;
    const begun = Math.max(start, collectives.get(number)?.begun ?? 0);
    collectives.set(number, { name, begun });
  }
  return ranks.map((spans) => {
    const wire = spans.filter(isCollective).map(({ name, end, details }) => {
      const { begun } = collectives.get(details.collective as number) as Collective;
      return { name, interval: [Math.min(begun, end), end] as const };
    });
    const waits = spans.filter(({ thread, name }) => thread === 'compute' && name === 'waiting');
    return spans
      .filter(({ thread, name }) => thread === 'compute' && name === 'step')
      .map((step) => splitStep(step, waits, wire));
  });
}

function splitStep(
  { start, end }: TraceSpan,
  waits: readonly TraceSpan[],
  wire: readonly { name: string; interval: Interval }[],
): StepOverlap {
  const within = (intervals: readonly Interval[]) =>
    intervals
      .filter(([from, to]) => to > start && from < end)
      .map(([from, to]): Interval => [Math.max(from, start), Math.min(to, end)]);
  const of = (test: (name: string) => boolean) =>
    within(wire.filter(({ name }) => test(name)).map(({ interval }) => interval));
  const forSmall = within(waits.filter(({ details }) => !isBucket(String(details.for))).map(intervalOf));
  const all = within(waits.map(intervalOf));
  const exposed = common(all, of(isBucket));
  const total = length(all);
  return {
    step: (end - start) / 1000,
    compute: (end - start - total) / 1000,
    reduceScatter: length(of((name) => name.startsWith('reduceScatter gradients/'))) / 1000,
    allGather: length(of((name) => name.startsWith('allGather weights/'))) / 1000,
    small: length(of((name) => !isBucket(name))) / 1000,
    exposed: exposed / 1000,
    queued: common(forSmall, of(isBucket)) / 1000,
    late:
      (total -
        exposed -
        common(
          all,
          of((name) => !isBucket(name)),
        )) /
      1000,
  };
}

function isCollective({ thread, details }: TraceSpan): boolean {
  return thread === 'communication' && details.collective !== undefined;
}

/** Whether a collective carries gradients or weights. */
function isBucket(name: string): boolean {
  return /^(reduceScatter gradients|allGather weights)\//.test(name);
}

function intervalOf({ start, end }: TraceSpan): Interval {
  return [start, end];
}

function length(intervals: readonly Interval[]): number {
  return intervals.reduce((sum, [start, end]) => sum + end - start, 0);
}

/** What two lists of intervals share, each list without overlaps. */
function common(some: readonly Interval[], others: readonly Interval[]): number {
  let sum = 0;
  for (const [start, end] of some)
    for (const other of others) sum += Math.max(0, Math.min(end, other[1]) - Math.max(start, other[0]));
  return sum;
}
