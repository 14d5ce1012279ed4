import type { StepLine } from './lines.js';

export type Point = [x: number, y: number];

/** Numbers of a step that are drawn. */
const stepNumbers = [
  'loss',
  'lr',
  'delta',
  'nac',
  'sc',
  'crossEntropy',
  'squaredError',
  'meanSquaredError',
] as const;
export type StepNumber = (typeof stepNumbers)[number];

/**
 * How neighbouring steps of a long run are drawn: as their mean, or as the smallest and the largest of them, so that no
 * single step is lost.
 */
export type Thinning = 'mean' | 'extremes';

/** Groups of a curve at most: more could not be distinguished. */
const mostGroups = 500;

/** Neighbouring steps. */
interface Group {
  count: number;
  x: number;
  sum: number;
  least: Point;
  most: Point;
}

/**
 * A number over the steps, thinned while they come.
 *
 * Steps are kept in at most 500 groups of one size, a power of two; the last group may have fewer. Where there is no room
 * for one more, each two groups become one. So a run of any length takes the same memory, a step costs the same time, and
 * what has been drawn stays as it is until the size doubles.
 */
export class ThinnedCurve {
  private groups: Group[] = [];
  private size = 1;

  add(x: number, y: number): void {
    const group: Group = { count: 1, x, sum: y, least: [x, y], most: [x, y] };
    const last = this.groups.at(-1);
    if (last && last.count < this.size) {
      this.groups[this.groups.length - 1] = joined(last, group);
      return;
    }
    if (this.groups.length === mostGroups) {
      const { groups } = this;
      this.groups = groups.flatMap((one, index) => {
        const next = groups[index + 1];
        return index % 2 === 1 ? [] : [next ? joined(one, next) : one];
      });
      this.size *= 2;
    }
    this.groups.push(group);
  }

  points(thinning: Thinning): Point[] {
    if (thinning === 'mean') return this.groups.map(({ count, x, sum }) => [x / count, sum / count]);
    return this.groups.flatMap(({ least, most }) => {
      if (least[0] === most[0]) return [least];
      return least[0] < most[0] ? [least, most] : [most, least];
    });
  }
}

function joined(one: Group, next: Group): Group {
  return {
    count: one.count + next.count,
    x: one.x + next.x,
    sum: one.sum + next.sum,
    least: next.least[1] < one.least[1] ? next.least : one.least,
    most: next.most[1] > one.most[1] ? next.most : one.most,
  };
}

/** The curves of a run's steps, of its first on: x counts steps, from 1. */
export class StepCurves {
  private readonly curves = new Map<StepNumber, ThinnedCurve>();
  /** Steps of the longest epoch before the last one, and of the last one. */
  private longest = 0;
  private inLast = 0;
  /** The last step. */
  last: StepLine | undefined;

  add(step: StepLine): void {
    if (this.last && this.last.epoch !== step.epoch) {
      this.longest = Math.max(this.longest, this.inLast);
      this.inLast = 0;
    }
    this.inLast++;
    this.last = step;
    for (const name of stepNumbers) {
      const value = step[name];
      if (value === undefined) continue;
      const curve = this.curves.get(name) ?? new ThinnedCurve();
      curve.add(step.step + 1, value);
      this.curves.set(name, curve);
    }
  }

  points(name: StepNumber, thinning: Thinning): Point[] {
    return this.curves.get(name)?.points(thinning) ?? [];
  }

  /** Steps that an epoch has; undefined while the first goes on. `ended` is the last epoch that has ended. */
  perEpoch(ended: number | undefined): number | undefined {
    const isOver = ended !== undefined && this.last !== undefined && this.last.epoch <= ended;
    return Math.max(this.longest, isOver ? this.inLast : 0) || undefined;
  }
}
