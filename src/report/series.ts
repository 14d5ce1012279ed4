import type { RecordedRun } from './run.js';
import { largest } from '../util/extremes.js';

export type Point = [x: number, y: number];

/** Most points of a curve: more could not be distinguished. */
const mostPoints = 500;

/** Steps that an epoch of the run has; 1 where that is not known. */
export function stepsPerEpoch({ steps }: RecordedRun): number {
  const counts = new Map<number, number>();
  for (const { epoch } of steps) counts.set(epoch, (counts.get(epoch) ?? 0) + 1);
  return Math.max(1, largest(counts.values()));
}

/**
 * A number of every step over epochs trained, as a curve of at most 500 points, each the mean of neighbouring steps.
 * Steps without the number are left out.
 */
export function stepCurve(
  run: RecordedRun,
  value: (step: RecordedRun['steps'][number]) => number | undefined,
): Point[] {
  const each = stepsPerEpoch(run);
  const points = run.steps.flatMap((step): Point[] => {
    const y = value(step);
    return y === undefined ? [] : [[(step.step + 1) / each, y]];
  });
  const size = Math.ceil(points.length / mostPoints);
  const curve: Point[] = [];
  for (let start = 0; start < points.length; start += size) {
    const group = points.slice(start, start + size);
    const mean = (axis: 0 | 1) => group.reduce((sum, point) => sum + point[axis], 0) / group.length;
    curve.push([round(mean(0)), round(mean(1))]);
  }
  return curve;
}

/** Most places of a curve that are marked, and most incidents that are named at one of them. */
const mostMarks = 100;
const mostNamed = 3;

/** The incidents of a run at the points of one of its curves, those at one point together, in words. */
export function incidentsAt(
  run: RecordedRun,
  points: readonly (readonly [x: number, y: number])[],
): { at: readonly [x: number, y: number]; text: string }[] {
  const each = stepsPerEpoch(run);
  const found = new Map<(typeof points)[number], string[]>();
  for (const { step, rank, cause, replayed, seconds } of points.length > 0 ? run.incidents : []) {
    if (step === undefined) continue;
    const x = step / each;
    const distance = ([at]: readonly [x: number, y: number]) => Math.abs(at - x);
    const nearest = points.reduce((best, point) => (distance(point) < distance(best) ? point : best));
    const who = rank === undefined ? '' : `rank ${rank}: `;
    const again = replayed === undefined ? '' : `${replayed} step${replayed === 1 ? '' : 's'} made again, `;
    const texts = found.get(nearest) ?? [];
    found.set(nearest, [...texts, `${who}${cause}; ${again}${seconds.toFixed(2)} s`]);
  }
  return [...found].slice(0, mostMarks).map(([at, texts]) => {
    const more = texts.length > mostNamed ? [`and ${texts.length - mostNamed} more`] : [];
    return { at, text: [...texts.slice(0, mostNamed), ...more].join(' · ') };
  });
}

/** Five significant digits, as many as a reader can use. */
export function round(value: number): number {
  return Number(value.toPrecision(5));
}
