import { move, workerData as piscinaData } from 'piscina';
import type { PixelRules } from './pixel-rules.js';
import { reportOf, type ErrorReport } from '../util/errors.js';
import { Augmenter, type AugmentOptions } from './augment.js';
import type { SplitName } from './dataset.js';
import { randomStream } from '../util/random.js';
import { mixInPlace, type Mix } from './mixing.js';
import { placeOf, type PlacedImages } from './places/place.js';
import { PixelSource, type SharedPixels } from './pixels/pixel-source.js';
import { randomRegion } from './random-region.js';

/** Settings that every loader thread of a data set gets at its start. */
export interface LoaderData {
  images: Record<SplitName, PlacedImages>;
  size: number;
  /** Shorter side before the centre is cut out; images are stretched where it is not given. */
  resize?: number;
  channels: 1 | 3;
  augment: AugmentOptions;
  /** Crop training images at random before they are resized. */
  randomResizedCrop: boolean;
  rules: PixelRules;
  pixels: SharedPixels;
}

/** One batch to prepare. */
export interface LoaderTask {
  split: SplitName;
  indices: Int32Array;
  epoch: number;
  /** How its images are mixed, each with the one before it. */
  mix?: Mix;
  /** Memory to prepare the batch in, used if it has the right length. */
  memory?: Float32Array;
}

/** The batch's images, or the error of one of its files. */
export type LoaderResult = Float32Array<ArrayBuffer> | ErrorReport;

const data = piscinaData as LoaderData;
const imageBytes = data.size * data.size * data.channels;
const pixelSource = new PixelSource(data.pixels, data);
const augmenter = new Augmenter(data.augment);

/** Decodes and augments one batch; an image looks the same whichever thread prepares it. */
export default async function prepare({
  split,
  indices,
  epoch,
  mix,
  memory,
}: LoaderTask): Promise<LoaderResult> {
  const length = indices.length * imageBytes;
  const images = memory?.length === length ? memory : new Float32Array(length);
  try {
    const pixels = await Promise.all(Array.from(indices, (index) => pixelsOf(split, index, epoch)));
    indices.forEach((index, position) => {
      const job = { pixels: pixels[position], index, epoch: split === 'train' ? epoch : -1 };
      augmenter.write(job, images, position * imageBytes);
    });
    if (mix) mixInPlace(images, mix, [data.size, data.size, data.channels]);
  } catch (error) {
    return reportOf(error);
  }
  return move(images) as unknown as LoaderResult;
}

async function pixelsOf(split: SplitName, index: number, epoch: number): Promise<Uint8Array> {
  const { images, augment, randomResizedCrop } = data;
  const place = placeOf(images[split], index);
  if (split === 'train' && randomResizedCrop) {
    const random = randomStream(augment.seed, 0xc4, epoch, index);
    return pixelSource.decode(place, (width, height) => randomRegion(width, height, random));
  }
  const firstTest = randomResizedCrop ? 0 : images.train.files.length;
  return pixelSource.get(split === 'train' ? index : firstTest + index, place);
}
