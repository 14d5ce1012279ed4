import type { DrawnRun } from './run.js';
import type { Point, StepNumber, Thinning } from './step-curves.js';

/** What curves of steps run over. */
export interface StepScale {
  name: string;
  /** Steps of the run that make one unit of this scale. */
  unit(run: DrawnRun): number;
}

/** Steps that an epoch of the run has; undefined where that is not known yet. */
export function stepsPerEpoch({ curves, epochs }: DrawnRun): number | undefined {
  return curves.perEpoch(epochs.at(-1)?.epoch);
}

/** Epochs trained; steps, where a run is still in its first epoch. */
export function stepScale(runs: readonly DrawnRun[]): StepScale {
  const inFirst = runs.some((run) => run.curves.last && stepsPerEpoch(run) === undefined);
  if (inFirst) return { name: 'steps', unit: () => 1 };
  return { name: 'epochs trained', unit: (run) => stepsPerEpoch(run) ?? 1 };
}

/** A number of the steps of a run, as a curve of at most 500 points, or 1000 for extremes. */
export function stepCurve(
  run: DrawnRun,
  name: StepNumber,
  { scale = stepScale([run]), thinning = 'mean' }: { scale?: StepScale; thinning?: Thinning } = {},
): Point[] {
  const unit = scale.unit(run);
  return run.curves.points(name, thinning).map(([x, y]): Point => [round(x / unit), round(y)]);
}

/** Most places of a curve that are marked, and most incidents that are named at one of them. */
const mostMarks = 100;
const mostNamed = 3;

/** The incidents of a run in words, placed at the points of one of its curves; `unit`: steps from one x to the next. */
export function incidentsAt(
  run: DrawnRun,
  points: readonly (readonly [x: number, y: number])[],
  unit: number,
): { at: readonly [x: number, y: number]; text: string }[] {
  const found = new Map<(typeof points)[number], string[]>();
  for (const { step, rank, cause, replayed, seconds } of points.length > 0 ? run.incidents : []) {
    if (step === undefined) continue;
    const x = step / unit;
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
