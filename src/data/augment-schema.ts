import { z } from 'zod';
import { probability, zeroTo } from '../util/bounds.js';

/** Pixels of a side. */
export const mostPixels = 4096;

const mostBins = 1000;

const randAugment = z
  .strictObject({
    numOps: zeroTo(20).default(0).describe('operations of RandAugment on each training image; 0: none'),
    magnitude: zeroTo(mostBins).default(9).describe('strength of the operations, below numMagnitudeBins'),
    numMagnitudeBins: z.int().min(2).max(mostBins).default(31).describe('magnitudes from none to strongest'),
  })
  .refine(({ magnitude, numMagnitudeBins }) => magnitude < numMagnitudeBins, {
    path: ['magnitude'],
    error: 'must be below numMagnitudeBins',
  });

const amount = (of: string) => z.number().min(0).max(10).default(0).describe(of);

const colorJitter = z.strictObject({
  brightness: amount('training images get 1 - brightness to 1 + brightness of their own brightness'),
  contrast: amount('likewise of their contrast'),
  saturation: amount('likewise of their saturation'),
  hue: z.number().min(0).max(0.5).default(0).describe('their hue turns by up to this share of a whole turn'),
});

/** [least, most] */
const range = (low: number, high: number) =>
  z
    .tuple([z.number().min(low).max(high), z.number().min(low).max(high)])
    .refine(([least, most]) => least <= most, 'the smaller number comes first');

const randomErasing = z.strictObject({
  p: probability.default(0).describe('probability that a rectangle of a training image is erased'),
  scale: range(0, 1).default([0.02, 0.33]).describe('its share of the area, least and most'),
  ratio: range(0.01, 100).default([0.3, 3.3]).describe('its height to width, least and most'),
  value: z
    .union([z.number(), z.array(z.number()).min(1).max(4), z.literal('random')])
    .default(0)
    .describe(
      'what takes its place, after normalisation: a number, one a channel, or random for normal noise; 0 is the mean colour',
    ),
});

const mixing = (does: string) =>
  z.strictObject({
    alpha: z
      .number()
      .min(0)
      .max(1000)
      .default(0)
      .describe(`${does}; the share of the image itself is drawn from Beta(alpha, alpha); 0: it is not`),
  });

/** How training images are changed, from (seed, epoch, image) alone. */
export const augmentation = z.strictObject({
  cropPadding: zeroTo(mostPixels)
    .default(0)
    .describe('pixels of black border before a random crop to the image size'),
  flip: z.boolean().default(false).describe('mirror left to right with probability one half'),
  randAugment: randAugment.prefault({}),
  colorJitter: colorJitter.prefault({}),
  cutout: zeroTo(mostPixels)
    .default(0)
    .describe('side of a square at a random place of each training image that is set to the mean colour'),
  randomErasing: randomErasing.prefault({}),
  mixup: mixing('each image of a batch is a weighted sum with another one, as is its loss').prefault({}),
  cutmix: mixing('each image of a batch has a rectangle of another one').prefault({}),
  mixProbability: probability
    .default(1)
    .describe('share of the batches that mixup and cutmix mix; where both are set, each mixes half of them'),
});

type Augmentation = z.output<typeof augmentation>;

/** Settings of augmentation; those that came later may be left out. */
export type AugmentSettings = Pick<Augmentation, 'cropPadding' | 'flip' | 'cutout'> & Partial<Augmentation>;

export type RandAugmentSettings = Augmentation['randAugment'];
export type ColorJitterSettings = Augmentation['colorJitter'];
export type RandomErasingSettings = Augmentation['randomErasing'];
