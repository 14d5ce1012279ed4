import { z } from 'zod';
import { augmentation, mostPixels } from './augment-schema.js';
import { pixelRules } from './pixel-rules.js';
import { path, upTo, zeroTo } from '../util/bounds.js';

const normalisation = z.strictObject({
  mean: z.array(z.number()).min(1).max(4).describe('a mean per channel, of pixels in 0..1'),
  std: z.array(z.number().positive()).min(1).max(4).describe('a standard deviation per channel'),
});

/**
 * Settings of a data set that is kept whole in memory (`storedDataset`), besides its own: spread them into its schema.
 *
 * @example
 * import { storedSettings, z } from 'pod-dist';
 *
 * const schema = z.strictObject({ name: z.literal('mine'), ...storedSettings });
 * console.log(schema.parse({ name: 'mine' }).augment.flip);
 */
export const storedSettings = {
  augment: augmentation.prefault({}).meta({ ofItsChoice: true }),
  normalize: normalisation.optional().meta({ ofItsChoice: true }),
  ...pixelRules,
};

const pixelCache = z.strictObject({
  memoryMegabytes: zeroTo(10_000_000).default(1024).describe('memory a worker may use for decoded pixels'),
  diskMegabytes: zeroTo(1_000_000_000)
    .default(10_000)
    .describe('disk that decoded pixels of all data sets may take, for later runs; 0: none are kept there'),
  folder: path.optional().describe('where they are kept on disk; default: ~/.cache/pod-dist/pixels'),
});

/**
 * Settings of a data set of image files, which threads decode (`imageFiles`), besides its own: spread them into its schema.
 *
 * @example
 * import { imageFileSettings, z } from 'pod-dist';
 *
 * const schema = z.strictObject({ name: z.literal('mine'), ...imageFileSettings });
 * console.log(schema.parse({ name: 'mine', prefetch: 8 }).cache.memoryMegabytes);
 */
export const imageFileSettings = {
  augment: augmentation.prefault({}).meta({ ofItsChoice: true }),
  normalize: normalisation.optional().meta({ ofItsChoice: true }),
  threads: upTo(256).optional().describe('loader threads a worker; default: from the cores a worker has'),
  prefetch: upTo(1024).default(4).describe('batches read ahead, at most'),
  cache: pixelCache.prefault({}),
  ...pixelRules,
};

const holdOut = z
  .number()
  .min(0)
  .max(0.5)
  .default(0)
  .describe(
    'share of the training images, of each class alike, that takes the place of the test images: to choose settings by',
  );

export const digitsSchema = z.strictObject({
  name: z.literal('digits'),
  splitSeed: z.int().min(0).default(0).describe('chooses the 1,437 training and 360 test images'),
  holdOut,
  ...storedSettings,
});

export const storedSchema = z.strictObject({
  name: z.enum(['cifar10', 'cifar100', 'mnist', 'fashion-mnist']),
  root: path.meta({ ofItsChoice: true }).optional().describe('folder of the data set; default: data/<name>'),
  holdOut,
  ...storedSettings,
});

export const tinyImageNetSchema = z.strictObject({
  name: z.literal('tiny-imagenet'),
  root: path.meta({ ofItsChoice: true }).optional().describe('folder of the data set; default: data/<name>'),
  ...imageFileSettings,
});

/** How images of any size become squares. */
const squares = {
  size: upTo(mostPixels).default(32).describe('images are size x size pixels; others are stretched'),
  resize: upTo(mostPixels)
    .optional()
    .describe('instead of stretching: shorter side to this many pixels, then the size x size centre'),
  channels: z
    .union([z.literal(1), z.literal(3)])
    .default(3)
    .describe('1: grey, 3: colour'),
};

const croppedAugmentation = augmentation
  .extend({
    randomResizedCrop: z
      .boolean()
      .default(false)
      .describe('a random 8 to 100 % of the area, 3:4 to 4:3, resized to size x size'),
  })
  .prefault({})
  .meta({ ofItsChoice: true });

export const imageFolderSchema = z.strictObject({
  name: z.literal('image-folder'),
  root: path
    .meta({ ofItsChoice: true })
    .describe('folder with train/<class>/ and test/<class>/ (or val/<class>/) of .jpg, .png or .webp images'),
  testSplit: path
    .optional()
    .describe(
      'folder of the test images below root: test, val or another; default: test, or val where test is missing or has no class folders',
    ),
  holdOut: holdOut.describe(
    'share of the training images, of each class alike, that are the test images: those of train, or where there is none the class folders of root itself',
  ),
  otherClasses: z
    .enum(['refuse', 'leave-out'])
    .default('refuse')
    .describe('test images of classes that an evaluated model does not know'),
  ...squares,
  ...imageFileSettings,
  augment: croppedAugmentation,
});

const shards = z
  .union([path, z.array(path).min(1).max(100_000)])
  .optional()
  .meta({ ofItsChoice: true });

export const webdatasetSchema = z.strictObject({
  name: z.literal('webdataset'),
  root: path
    .meta({ ofItsChoice: true })
    .describe('folder of shards: .tar archives of images and their classes'),
  train: shards.describe(
    'shards to train with: a pattern such as train-{000..009}.tar, or a list; default: train*.tar',
  ),
  test: shards.describe('shards to test with; default: test*.tar, or val*.tar'),
  classKey: z
    .string()
    .min(1)
    .max(1000)
    .optional()
    .describe('the class of a sample is this entry of its .json; default: its .cls'),
  holdOut: holdOut.describe(
    'share of the training images, of each class alike, that are the test images in place of test shards',
  ),
  ...squares,
  ...imageFileSettings,
  augment: croppedAugmentation,
});
