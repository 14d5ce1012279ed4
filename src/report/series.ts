import type { Run } from './run.js';
import { largest } from '../util/extremes.js';

export type Point = [x: number, y: number];

/** Most points of a curve: more could not be distinguished. */
const mostPoints = 500;

/** Steps that an epoch of the run has; 1 where that is not known. */
export function stepsPerEpoch({ steps }: Run): number {
  const counts = new Map<number, number>();
  for (const { epoch } of steps) counts.set(epoch, (counts.get(epoch) ?? 0) + 1);
  return Math.max(1, largest(counts.values()));
}

/**
 * A number of every step over epochs trained, as a curve of at most 500 points, each the mean of neighbouring steps.
 * Steps without the number are left out.
 */
export function stepCurve(run: Run, value: (step: Run['steps'][number]) => number | undefined): Point[] {
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

/** Five significant digits, as many as a reader can use. */
export function round(value: number): number {
  return Number(value.toPrecision(5));
}
