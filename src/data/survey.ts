import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../util/errors.js';
import { permutation, randomStream } from '../util/random.js';
import { mapAtMost } from './budget.js';
import { decodeImage } from './decode.js';
import { indexHeldOut, indexImages } from './image-index.js';
import { pixelRulesSchema } from './pixel-rules.js';
import { probeImage } from './probe.js';
import { testFolderOf } from './test-split.js';

/** What a folder of images holds, as far as a recipe depends on it. */
export interface FolderSurvey {
  classNames: readonly string[];
  /** Images of each class to train with, those that are to be held out among them. */
  perClass: number[];
  /** The test images; undefined where some of the others are to be held out. */
  test?: { folder: string; images: number };
  /** How many of the images to train with were looked at, drawn by seed 1. */
  sampled: number;
  sizes: ImageSizes;
  /** Whether all that were looked at are grey. */
  grey: boolean;
  /** Mean and deviation of each channel, or of the one of grey images, of pixels in 0..1. */
  mean: number[];
  std: number[];
}

/** Width and height in pixels. */
type Size = readonly [width: number, height: number];

/** Sizes of some images, as they are seen: by area the smallest, the middle one, the largest. */
export interface ImageSizes {
  smallest: Size;
  middle: Size;
  largest: Size;
}

export interface SurveyOptions {
  /** Images that are looked at, at most. */
  sample: number;
  /** How images of these sizes are to become squares, of which mean and deviation are taken. */
  shape(sizes: ImageSizes): { size: number; resize?: number };
  notify(line: string): void;
  onProgress(done: number, total: number): void;
}

/** Share that is held out where there are no test images. */
export const heldOutShare = 0.2;
/** Levels by which the colours of a grey pixel differ, at most. */
const greyTolerance = 3;
const rules = pixelRulesSchema.parse({});

/**
 * Looks at an image folder: its classes, and of a sample of the images to train with sizes, colours, mean and deviation.
 *
 * @throws UserError as opening such a data set does; `IMAGE_INVALID` for an image of the sample that cannot be read
 */
export async function surveyFolder(root: string, options: SurveyOptions): Promise<FolderSurvey> {
  const { sample, shape, notify, onProgress } = options;
  const testFolder = await testFolderOf(root, {});
  const hasTest = existsSync(testFolder);
  if (hasTest && !existsSync(join(root, 'train')))
    throw new UserError(
      'DATA_INVALID',
      `${root} has ${testFolder} but no train: put the images to train with there`,
    );
  const { classNames, splits } = hasTest
    ? await indexImages(root, { notify })
    : await indexHeldOut(root, heldOutShare, { notify });
  const perClass = classNames.map(() => 0);
  for (const split of hasTest ? [splits.train] : [splits.train, splits.test])
    for (const label of split.labels) perClass[label] = (perClass[label] ?? 0) + 1;
  const { files } = splits.train;
  const order = permutation(files.length, randomStream(1, 0x5e7));
  const drawn = Array.from(order.subarray(0, sample), (image) => files[image] as string);
  let done = 0;
  const each = <Result>(work: (file: string) => Promise<Result>) =>
    mapAtMost(2 * availableParallelism(), drawn, async (file) => {
      const result = await work(file);
      onProgress(++done, 2 * drawn.length);
      return result;
    });
  const sizes = sizesOf(await each((file) => probeImage(file, rules)));
  const decoding = { ...shape(sizes), channels: 3, rules } as const;
  const sums = await each(async (file) => new Sums(await decodeImage(file, decoding)));
  const grey = sums.every((one) => one.grey);
  return {
    ...{ classNames, perClass, sampled: drawn.length, sizes, grey, ...momentsOf(sums, grey ? 1 : 3) },
    test: hasTest ? { folder: testFolder, images: splits.test.files.length } : undefined,
  };
}

function sizesOf(images: readonly { width: number; height: number }[]): ImageSizes {
  const sorted = images.toSorted((a, b) => a.width * a.height - b.width * b.height);
  const at = (place: number): Size => {
    const { width, height } = sorted[Math.floor(place)] ?? { width: 0, height: 0 };
    return [width, height];
  };
  return { smallest: at(0), middle: at(sorted.length / 2), largest: at(sorted.length - 1) };
}

/** Sums over the pixels of an image, of red, green and blue. */
class Sums {
  readonly pixels: number;
  readonly of = [0, 0, 0];
  readonly squares = [0, 0, 0];
  grey = true;

  constructor(values: Uint8Array) {
    this.pixels = values.length / 3;
    values.forEach((value, at) => {
      const channel = at % 3;
      this.of[channel] = (this.of[channel] ?? 0) + value;
      this.squares[channel] = (this.squares[channel] ?? 0) + value * value;
      if (Math.abs(value - (values[at - channel] ?? 0)) > greyTolerance) this.grey = false;
    });
  }
}

function momentsOf(images: readonly Sums[], channels: number): { mean: number[]; std: number[] } {
  const moments = Array.from({ length: channels }, (_, channel) => {
    let [pixels, sum, squares] = [0, 0, 0];
    for (const image of images) {
      pixels += image.pixels;
      sum += image.of[channel] ?? 0;
      squares += image.squares[channel] ?? 0;
    }
    const mean = sum / pixels;
    return { mean: mean / 255, std: Math.sqrt(Math.max(0, squares / pixels - mean * mean)) / 255 };
  });
  return { mean: moments.map(({ mean }) => mean), std: moments.map(({ std }) => std) };
}
