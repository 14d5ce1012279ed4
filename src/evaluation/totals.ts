import { z } from 'zod';
import type { EpochMetrics } from '../config/metrics.js';
import { PodDistError } from '../util/errors.js';
import type { Comparison } from './comparison.js';

const counts = z.array(z.int().min(0));

/**
 * Counts of one evaluation: integers, and a sum of cosines in fixed steps, so that the ranks' parts add up to the same
 * totals for any number of workers.
 */
export const totalsSchema = z.object({
  total: z.int().min(0).describe('images'),
  correct: z.int().min(0).describe('assigned to their own class'),
  classTotal: counts.describe('images of each class, [k]'),
  classCorrect: counts.describe('of those, assigned to their own class, [k]'),
  confusion: counts.describe(
    'row-major [k, k + 1]: rows true classes, columns assigned ones, the last for images of no class; empty for more than 1,000 classes',
  ),
  cosineSum: z.number().describe('sum over the images of the cosine between features and own centroid'),
});
/** Counts and sums over the test images, which ranks add up. */
export type EvaluationTotals = z.output<typeof totalsSchema>;

/** Most classes for which a table of every pair of them is counted. */
const mostConfusionClasses = 1000;

/** Cosines are rounded to multiples of 2^-30, of which double precision adds up millions without an error. */
const cosineSteps = 2 ** 30;

/** Totals of another process: they must add up. */
export const rankTotalsSchema: z.ZodType<EvaluationTotals> = totalsSchema.refine(
  ({ total, correct, classTotal, classCorrect, confusion, cosineSum }) => {
    const classes = classTotal.length;
    return (
      classCorrect.length === classes &&
      confusion.length === confusionLength(classes) &&
      sumOf(classTotal) === total &&
      sumOf(classCorrect) === correct &&
      classCorrect.every((count, label) => count <= classTotal[label]) &&
      Math.abs(cosineSum) <= total
    );
  },
  'totals that do not add up',
);

function confusionLength(classes: number): number {
  return classes <= mostConfusionClasses ? classes * (classes + 1) : 0;
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Totals of no image at all. */
export function emptyTotals(classes: number): EvaluationTotals {
  return {
    total: 0,
    correct: 0,
    classTotal: new Array<number>(classes).fill(0),
    classCorrect: new Array<number>(classes).fill(0),
    confusion: new Array<number>(confusionLength(classes)).fill(0),
    cosineSum: 0,
  };
}

/** Counts a batch into `totals`. */
export function count(totals: EvaluationTotals, { labels, assigned, own }: Comparison): void {
  const classes = totals.classTotal.length;
  labels.forEach((label, row) => {
    const choice = assigned[row];
    totals.total++;
    totals.classTotal[label]++;
    if (totals.confusion.length > 0) totals.confusion[label * (classes + 1) + choice]++;
    if (choice === label) {
      totals.correct++;
      totals.classCorrect[label]++;
    }
    if (choice < classes) totals.cosineSum += Math.round(own[row] * cosineSteps) / cosineSteps;
  });
}

/** Adds up the parts of all ranks. */
export function addTotals(parts: readonly EvaluationTotals[]): EvaluationTotals {
  const sum = emptyTotals(parts[0].classTotal.length);
  for (const [rank, part] of parts.entries()) {
    const [classes, others] = [sum, part].map(({ classTotal }) => classTotal.length);
    if (classes !== others)
      throw new PodDistError(
        'TOTALS_MISMATCH',
        `rank 0 evaluated ${classes} classes, rank ${rank} ${others} classes`,
      );
    sum.total += part.total;
    sum.correct += part.correct;
    sum.cosineSum += part.cosineSum;
    addInto(sum.classTotal, part.classTotal);
    addInto(sum.classCorrect, part.classCorrect);
    addInto(sum.confusion, part.confusion);
  }
  return sum;
}

function addInto(sum: number[], part: readonly number[]): void {
  for (let index = 0; index < sum.length; index++) sum[index] += part[index];
}

/** Numbers of an epoch, by their names in `metrics.jsonl`; no number for an evaluation without images. */
export function epochMetricsOf(
  { correct, total, cosineSum }: EvaluationTotals,
  trainLoss: number,
): EpochMetrics {
  return { trainLoss, evalAccuracy: correct / total, meanCosine: cosineSum / total };
}

/** Share of each class that was assigned correctly; 0 for a class without images. */
export function perClassAccuracy(totals: EvaluationTotals): number[] {
  return totals.classTotal.map((total, index) => (total === 0 ? 0 : totals.classCorrect[index] / total));
}
