import { z } from 'zod';
import type { Comparison } from './comparison.js';
import { comparisonBytes, unpackArrays, unpackComparison } from './observations.js';
import { mistakeSchema, mostMistakes } from './mistakes.js';
import { mostImages } from './plane.js';
import { sampleBytes, unpackSample } from './sample.js';
import { unknownColumns, type EvaluationPart } from './summary.js';
import { rankTotalsSchema } from './totals.js';

const whole = z.int().min(0);
const bytes = z.instanceof(Uint8Array);
const drawnBytes = 16;
const unknownBytes = 12;
/** Images of unknown classes of one rank, at most. */
const mostUnknown = 2 ** 20;

/** An `EvaluationPart` of another process: lengths, classes and cosines are looked at one by one. */
export const evaluationPartSchema: z.ZodType<EvaluationPart> = z
  .object({
    totals: rankTotalsSchema,
    images: bytes.refine(({ length }) => length % comparisonBytes === 0, {
      error: 'not whole images',
      abort: true,
    }),
    drawn: bytes
      .refine(({ length }) => length % drawnBytes === 0, { error: 'not whole points', abort: true })
      .refine(({ length }) => length <= mostImages * drawnBytes, {
        error: `more than ${mostImages} points`,
        abort: true,
      }),
    unknown: bytes
      .refine(({ length }) => length % unknownBytes === 0, { error: 'not whole images', abort: true })
      .refine(({ length }) => length <= unknownBytes * mostUnknown, {
        error: `more than ${mostUnknown}`,
        abort: true,
      })
      .optional(),
    sample: bytes.optional(),
    mistakes: z.array(mistakeSchema).max(mostMistakes).optional(),
    shared: z.object({
      dataset: z.string().max(1000),
      classNames: z.array(z.string().max(1000)),
      dim: z.int().positive(),
      epochs: whole,
      mirrored: z.boolean(),
      scale: z.enum(['cosine', 'probability']),
      correlation: z
        .object({ offDiagonalShare: z.number().nullable(), selfCorrelation: z.number().nullable() })
        .nullable(),
      vectors: z.array(z.tuple([z.number(), z.number()])).max(1000),
      unknownFolder: z.string().max(10_000).optional(),
    }),
  })
  .superRefine(({ totals, images, drawn, unknown, sample, mistakes = [], shared }, context) => {
    const classes = shared.classNames.length;
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (totals.classTotal.length !== classes) refuse('totals', 'not as many classes as names');
    if (images.length / comparisonBytes !== totals.total) refuse('images', 'not as many as counted');
    if (!isComparison(unpackComparison(images), classes))
      refuse('images', 'a class, cosine or norm out of range');
    const [x, y, labels, assigned] = unpackArrays(drawn, [
      Float32Array,
      Float32Array,
      Int32Array,
      Int32Array,
    ]);
    if (![x, y].every((column) => column.every(Number.isFinite))) refuse('drawn', 'no finite point');
    if (!isBelow(labels, classes) || !isBelow(assigned, classes)) refuse('drawn', 'a class out of range');
    if (sample !== undefined && !isSample(sample, shared.dim, classes))
      refuse('sample', 'not rows of images');
    const named = mistakes.flatMap(({ label, nearest }) => [label, ...nearest.map((one) => one.label)]);
    if (!isBelow(named, classes)) refuse('mistakes', 'a class out of range');
    const [best, next, norms] = unpackArrays(unknown ?? new Uint8Array(), unknownColumns);
    if (!best.every(isCosine) || !next.every(isCosine)) refuse('unknown', 'a cosine out of range');
    if (!norms.every((norm) => norm >= 0 && norm < Infinity)) refuse('unknown', 'a norm out of range');
  });

function isSample(bytes: Uint8Array, dim: number, classes: number): boolean {
  if (bytes.length % sampleBytes(dim) !== 0 || bytes.length > mostImages * sampleBytes(dim)) return false;
  const { images, labels, assigned, features } = unpackSample([bytes], dim);
  return (
    images.every((image) => image >= 0) &&
    isBelow(labels, classes) &&
    isBelow(assigned, classes) &&
    features.every(Number.isFinite)
  );
}

function isComparison(comparison: Comparison, classes: number): boolean {
  const { labels, assigned, norm, own, other, chosen, next } = comparison;
  return (
    isBelow(labels, classes) &&
    isBelow(assigned, classes + 1) &&
    norm.every((value, index) => assigned[index] === classes || (value > 0 && value < Infinity)) &&
    [own, other, chosen, next].every((cosines) => cosines.every(isCosine))
  );
}

function isBelow(values: ArrayLike<number>, limit: number): boolean {
  return Array.prototype.every.call(values, (value: number) => value >= 0 && value < limit);
}

function isCosine(value: number): boolean {
  return value >= -1 && value <= 1;
}
