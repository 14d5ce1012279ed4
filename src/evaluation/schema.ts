import { z } from 'zod';
import { mistakeSchema, mostMistakes } from './mistakes.js';
import { totalsSchema } from './totals.js';

const share = z.number().min(0).max(1);
const whole = z.int().min(0);
const shareOrNone = share.nullable();

const histogramSchema = z.object({
  from: z.number(),
  to: z.number(),
  counts: z.array(whole).min(1).describe('of bins of equal width; values outside are in the outermost ones'),
});

const anglesSchema = z.object({
  mean: z.number().nullable().describe('degrees'),
  histogram: histogramSchema,
});

const reliabilitySchema = z.object({
  error: shareOrNone.describe(
    'mean over the images of |accuracy - confidence| of their bin; confidence is the probability or, of cosines, (1 + margin) / 2, of a margin cut off at 0 and 1',
  ),
  separation: shareOrNone.describe(
    'probability that a correctly assigned image has a larger probability, or margin, than a wrongly assigned one (AUROC)',
  ),
  bins: z.array(
    z.object({ from: z.number(), to: z.number(), images: whole, correct: whole, confidence: shareOrNone }),
  ),
});

const detectionSchema = z.object({
  auroc: shareOrNone.describe('probability that a test image has the larger one'),
  fpr95: shareOrNone.describe('of the unknown images accepted where 95 % of the test images are'),
  aupr: shareOrNone.describe('area under precision over recall, test images being the positive ones'),
});

const rejectionSchema = z.object({
  thresholds: z
    .array(z.number())
    .describe('an image is accepted where the score of its assigned class is at least this'),
  accepted: z.array(whole).describe('test images accepted at each threshold'),
  correct: z.array(whole).describe('of those, assigned to their own class'),
  unknown: z
    .object({
      folder: z.string(),
      images: whole,
      accepted: z.array(whole).describe('images of unknown classes accepted at each threshold'),
      auroc: shareOrNone.describe(
        'probability that a test image has a larger score of its assigned class than an unknown image',
      ),
      by: z
        .object({ score: detectionSchema, margin: detectionSchema, norm: detectionSchema })
        .optional()
        .describe(
          'by the score of the assigned class, by its margin over the next, and by the length of the features',
        ),
    })
    .optional(),
});

const planeSchema = z.object({
  vectors: z.array(z.tuple([z.number(), z.number()])).describe('class vectors of classes 0, 1, ...'),
  x: z.array(z.number()).describe('of the direction of each image drawn'),
  y: z.array(z.number()),
  labels: z.array(whole),
  assigned: z.array(whole),
});

/**
 * Contents of `evaluation.json`, and output of `pod-dist evaluate --json`: the totals, and measures of the test
 * images' features. The same for any number of workers.
 */
export const evaluationSchema = totalsSchema.extend({
  format: z.literal(1),
  dataset: z.string(),
  classNames: z.array(z.string()),
  dim: z.int().describe('dimension of the features'),
  epochs: whole.describe('that the evaluated weights were trained'),
  mirrored: z
    .boolean()
    .default(false)
    .describe('directions are the mean of those of an image and of its mirror image'),
  scale: z
    .enum(['cosine', 'probability'])
    .default('cosine')
    .describe(
      'of the scores in reliability and rejection: probabilities for softmax, cosines for all others',
    ),
  accuracy: shareOrNone.describe('correct / total'),
  topK: z
    .object({ k: z.int(), correct: whole, accuracy: shareOrNone })
    .describe('own class among the k best: k is 5, or one less than the classes where that is fewer'),
  undirected: whole.describe('images with features of norm 0 or not finite, which belong to no class'),
  meanCosine: z.number().nullable().describe('to the own class, over all images'),
  classAngle: z
    .array(z.number().nullable())
    .describe('mean angle of the images of each class to it, degrees; null without images'),
  confusions: z
    .array(z.object({ label: whole, assigned: whole, images: whole }))
    .describe('the most frequent wrong assignments, at most 50'),
  mistakes: z
    .array(mistakeSchema)
    .default([])
    .describe(`the surest wrong assignments, by margin, at most ${mostMistakes}`),
  angles: z
    .object({ own: anglesSchema, other: anglesSchema })
    .describe('between features and own class, and the nearest other class'),
  norms: z.object({ mean: z.number().nullable(), histogram: histogramSchema }).describe('of the features'),
  correlation: z
    .object({ offDiagonalShare: z.number().nullable(), selfCorrelation: z.number().nullable() })
    .nullable()
    .describe('of z/|z| - W_y over the test images; null for more than 2,048 dimensions'),
  reliability: reliabilitySchema.describe(
    'of the probability of the assigned class or, of cosines, of the margin between the best and the second best',
  ),
  rejection: rejectionSchema.describe('of unknown classes, by a threshold on the score'),
  plane: planeSchema.describe('directions of some test images in a plane of the class vectors'),
});

/** Evaluation of a model: images counted, cosines, angles in degrees, shares from 0 to 1. */
export type Evaluation = z.output<typeof evaluationSchema>;
