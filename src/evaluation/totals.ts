import { PodDistError } from '../errors.js';

/**
 * What one evaluation counts: integers, so that the ranks' parts add up to the same totals for any number of
 * workers, and the sum of the cosines to the own centroid.
 */
export interface EvaluationTotals {
  total: number;
  correct: number;
  /** Images of each class, [k]. */
  classTotal: number[];
  /** Of those, assigned to their own class, [k]. */
  classCorrect: number[];
  /**
   * Row-major [k, k + 1]: rows true classes, columns assigned ones; the last column counts images of no class. Empty
   * for more than 1,000 classes.
   */
  confusion: number[];
  /** Sum over the images of the cosine between features and own centroid. */
  cosineSum: number;
}

/** With more classes, no table of every pair of them is counted. */
const mostConfusionClasses = 1000;

/** Totals of no image at all. */
export function emptyTotals(classes: number): EvaluationTotals {
  return {
    total: 0,
    correct: 0,
    classTotal: new Array<number>(classes).fill(0),
    classCorrect: new Array<number>(classes).fill(0),
    confusion: new Array<number>(classes <= mostConfusionClasses ? classes * (classes + 1) : 0).fill(0),
    cosineSum: 0,
  };
}

/** Adds up the parts of all ranks, in rank order. */
export function addTotals(parts: readonly EvaluationTotals[]): EvaluationTotals {
  const sum = emptyTotals(parts[0].classTotal.length);
  for (const part of parts) {
    if (part.classTotal.length !== sum.classTotal.length) {
      throw new PodDistError('TOTALS_MISMATCH', 'the ranks evaluated different numbers of classes');
    }
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

/** Share of each class that was assigned correctly; 0 for a class without images. */
export function perClassAccuracy(totals: EvaluationTotals): number[] {
  return totals.classTotal.map((total, index) => (total === 0 ? 0 : totals.classCorrect[index] / total));
}
