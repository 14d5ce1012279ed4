import { describe, expect, it } from 'vitest';
import type { Comparison } from '../../src/evaluation/comparison.js';
import { beyondPlaces } from '../../src/evaluation/places.js';
import {
  joinComparisons,
  packArrays,
  packComparison,
  unpackComparison,
} from '../../src/evaluation/observations.js';
import { evaluationSchema, type Evaluation } from '../../src/evaluation/schema.js';
import { surest } from '../../src/evaluation/mistakes.js';
import { summarise, type EvaluationPart } from '../../src/evaluation/summary.js';
import { count, emptyTotals } from '../../src/evaluation/totals.js';

const classNames = ['ada', 'grace', 'joan'];
const degree = Math.PI / 180;

/** Four images of three classes: correct, wrong, with a feature of norm 0, correct by a small margin. */
const images: Comparison = {
  labels: Int32Array.of(0, 1, 2, 1),
  assigned: Int32Array.of(0, 2, 3, 1),
  place: Uint8Array.of(0, 1, beyondPlaces, 0),
  norm: Float32Array.of(2, 4, 0, 9.51),
  own: Float32Array.of(0.5, 0.25, -1, 0.75),
  other: Float32Array.of(-0.5, 0.5, -1, 0.71875),
  chosen: Float32Array.of(0.5, 0.5, -1, 0.75),
  next: Float32Array.of(-0.5, 0.25, -1, 0.71875),
};

function part(rows: readonly number[], unknown?: number[]): EvaluationPart {
  const { labels, assigned, place, ...cosines } = images;
  const take = <T extends Int32Array | Uint8Array | Float32Array>(column: T) =>
    column.filter((_, row) => rows.includes(row)) as T;
  const own: Comparison = {
    ...{ labels: take(labels), assigned: take(assigned), place: take(place) },
    ...{ norm: take(cosines.norm), own: take(cosines.own), other: take(cosines.other) },
    ...{ chosen: take(cosines.chosen), next: take(cosines.next) },
  };
  const totals = emptyTotals(3);
  count(totals, own);
  return {
    totals,
    images: packComparison(own),
    drawn: packArrays([Float32Array.from(rows), Float32Array.from(rows), own.labels, own.assigned]),
    unknown:
      unknown &&
      packArrays(
        [unknown, unknown.map((cosine) => cosine - 0.125), unknown.map((_, at) => at + 3)].map((row) =>
          Float32Array.from(row),
        ),
      ),
    shared: {
      ...{
        dataset: 'faces',
        classNames,
        dim: 2,
        epochs: 3,
        correlation: null,
        vectors: [[1, 0]],
        mirrored: true,
        scale: 'cosine',
      },
      unknownFolder: unknown && 'strangers',
    },
  };
}

describe('summarise', () => {
  const evaluation = summarise([part([0, 1, 2, 3])]);

  it('matches evaluationSchema', () => expect(evaluationSchema.parse(evaluation)).toEqual(evaluation));

  it('gives the same result for any division of the images into parts', () => {
    expect(summarise([part([0]), part([1, 2, 3])])).toEqual(evaluation);
    expect(summarise([part([]), part([0, 1]), part([2, 3])])).toEqual(evaluation);
  });

  it('keeps the mistakes with the highest scores of all parts', () => {
    const mistakes = Array.from({ length: 60 }, (_, image) => ({
      ...{ image, label: 0 },
      nearest: [
        { label: 1, score: 0.5 + (image % 7) / 16 },
        { label: 0, score: 0.25 },
      ],
    }));
    const made = (of: (image: number) => boolean) => ({
      ...part([0]),
      mistakes: surest(mistakes.filter(({ image }) => of(image))),
    });
    const together = summarise([made(() => true), part([1, 2, 3])]).mistakes;
    expect(together.map(({ image }) => image).slice(0, 10)).toEqual([6, 13, 20, 27, 34, 41, 48, 55, 5, 12]);
    expect(together).toHaveLength(24);
    const apart = [made((image) => image % 3 === 0), made((image) => image % 3 !== 0)];
    expect(summarise(apart).mistakes).toEqual(together);
  });

  it('counts correct, wrong and undirected images, and images whose class is second best', () => {
    expect(evaluation).toMatchObject({
      ...{ total: 4, correct: 2, accuracy: 0.5, undirected: 1, topK: { k: 2, correct: 3, accuracy: 0.75 } },
      ...{ classTotal: [1, 2, 1], classCorrect: [1, 1, 0] },
      confusions: [
        { label: 1, assigned: 2, images: 1 },
        { label: 2, assigned: 3, images: 1 },
      ],
    });
  });

  it('measures angles and norms of images with a direction', () => {
    const [a, b, c] = [0.5, 0.25, 0.75].map((cosine) => Math.acos(cosine) / degree);
    expect(evaluation.angles.own.mean).toBeCloseTo((a + b + c) / 3, 5);
    expect(evaluation.angles.own.histogram.counts[Math.floor(a / 2)]).toBeGreaterThan(0);
    expect(evaluation.classAngle).toEqual([expect.closeTo(a, 5), expect.closeTo((b + c) / 2, 5), null]);
    expect(evaluation.norms.histogram.to).toBe(9.6);
    expect(evaluation.norms.histogram.counts.reduce((sum, images) => sum + images)).toBe(3);
    expect(evaluation.norms.mean).toBeCloseTo((2 + 4 + 9.51) / 3, 5);
  });

  it('compares accuracy with confidence in bins of the margin', () => {
    const { bins, error, separation } = evaluation.reliability;
    expect(bins[19]).toEqual({ from: 0.95, to: 1, images: 1, correct: 1, confidence: 1 });
    expect(bins[5]).toEqual({ from: 0.25, to: 0.3, images: 1, correct: 0, confidence: 0.625 });
    expect(bins[0]).toMatchObject({ images: 1, correct: 1, confidence: 0.515625 });
    expect(error).toBeCloseTo((0 + 0.625 + (1 - 0.515625)) / 3, 12);
    expect(separation).toBe(0.5);
  });

  it("bins by probability if the scale is 'probability'", () => {
    const parts = [part([0, 1, 2, 3])];
    parts[0].shared.scale = 'probability';
    const { bins, error, separation } = summarise(parts).reliability;
    // Probabilities 0.5 (right), 0.5 (wrong) and 0.75 (right).
    expect(bins[10]).toMatchObject({ images: 2, correct: 1, confidence: 0.5 });
    expect(bins[15]).toMatchObject({ images: 1, correct: 1, confidence: 0.75 });
    expect(error).toBeCloseTo((0 + 0.25) / 3, 12);
    expect(separation).toBe(0.75);
  });

  it('counts known and unknown images with a cosine of at least each threshold', () => {
    const { thresholds, accepted, correct } = evaluation.rejection;
    const at = (threshold: number) => thresholds.indexOf(threshold);
    expect([accepted[0], accepted[at(0.5)], accepted[at(0.51)], accepted[at(0.76)]]).toEqual([3, 3, 1, 0]);
    expect([correct[0], correct[at(0.5)], correct[at(0.51)]]).toEqual([2, 2, 1]);
    expect(evaluation.rejection.unknown).toBeUndefined();
    const both = summarise([part([0, 1], [0.25]), part([2, 3], [0.625, -1])]);
    expect(both.rejection.unknown).toMatchObject({
      folder: 'strangers',
      images: 3,
      auroc: expect.closeTo(7.5 / 12, 9),
    });
    expect(both.rejection.unknown?.accepted[at(0.5)]).toBe(1);
    // Norms 2, 4, 0 and 9.51 against 3, 3 and 4; margins 1, 0.25, 0 and 0.03125 against 0.125 three times.
    expect(both.rejection.unknown?.by).toMatchObject({
      score: { auroc: expect.closeTo(7.5 / 12, 9), fpr95: 1 },
      margin: { auroc: 6 / 12, fpr95: 1, aupr: expect.closeTo((1 + 1 + 3 / 6 + 4 / 7) / 4, 9) },
      norm: { auroc: expect.closeTo(5.5 / 12, 9), fpr95: 1 },
    });
    expect({ ...both, rejection: 0 }).toEqual({ ...evaluation, rejection: 0 });
  });

  it('gives null metrics without images', () => {
    const empty = summarise([part([])]);
    expect(evaluationSchema.parse(empty)).toEqual(empty);
    const none: Partial<Evaluation> = {
      total: 0,
      accuracy: null,
      meanCosine: null,
      classAngle: [null, null, null],
    };
    expect(empty).toMatchObject(none);
  });
});

describe('packComparison', () => {
  it('is undone by unpackComparison for bytes at any offset', () => {
    const bytes = packComparison(images);
    expect(bytes.length).toBe(4 * 29);
    const moved = Buffer.concat([Buffer.from([0]), bytes]).subarray(1);
    expect(unpackComparison(moved)).toEqual(images);
    expect(joinComparisons([images, images]).labels).toEqual(Int32Array.of(0, 1, 2, 1, 0, 1, 2, 1));
  });
});
