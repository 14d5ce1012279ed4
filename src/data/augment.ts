import { UserError } from '../util/errors.js';
import { randomStream } from '../util/random.js';

/** A mean and a standard deviation a channel, of values in 0..1. */
export interface Normalisation {
  mean: readonly number[];
  std: readonly number[];
}

/** How raw pixels become a network's input. */
export interface AugmentOptions {
  height: number;
  width: number;
  channels: number;
  /** Raw value that becomes 1 before normalisation: 255 for image files, 16 for digits. */
  white: number;
  normalize?: Normalisation;
  cropPadding: number;
  flip: boolean;
  /** Side of the square that is taken out, in pixels; 0: none is. */
  cutout: number;
  seed: number;
}

/** One image of a batch. */
export interface ImageJob {
  /** Raw pixels, [height * width * channels]. */
  pixels: Uint8Array;
  /** Index of the image in its split. */
  index: number;
  /** Epoch for the random choices; -1 leaves the image as it is, for evaluation. */
  epoch: number;
}

interface Choice {
  top: number;
  left: number;
  mirrored: boolean;
  /** Centre of the square that is taken out. */
  hole?: { y: number; x: number };
}

/**
 * Writes images into a batch: random crop out of a black border, random mirror image, normalisation, in one pass over
 * the pixels, and a square of zeros (cutout, arXiv 1708.04552) whose centre is anywhere in the image, so that part of
 * it may lie outside; with `normalize` a zero is the mean colour. Every choice comes from the stream (seed, epoch,
 * image index), so an image looks the same whichever rank, thread or batch it is in.
 */
export class Augmenter {
  private readonly table: Float32Array;

  constructor(private readonly options: AugmentOptions) {
    const { channels, white, normalize } = options;
    this.table = new Float32Array(channels * (white + 1));
    for (let channel = 0; channel < channels; channel++) {
      const mean = normalize?.mean[channel] ?? 0;
      const std = normalize?.std[channel] ?? 1;
      for (let value = 0; value <= white; value++)
        this.table[channel * (white + 1) + value] = (value / white - mean) / std;
    }
  }

  /** Writes one image into `output` at `offset`. */
  write({ pixels, index, epoch }: ImageJob, output: Float32Array, offset: number): void {
    const { height, width, channels, white } = this.options;
    const { top, left, mirrored, hole } = this.choose(index, epoch);
    const table = this.table;
    const levels = white + 1;
    let to = offset;
    for (let y = 0; y < height; y++) {
      const sourceY = y + top;
      const inside = sourceY >= 0 && sourceY < height;
      for (let x = 0; x < width; x++) {
        const sourceX = (mirrored ? width - 1 - x : x) + left;
        const from = inside && sourceX >= 0 && sourceX < width ? (sourceY * width + sourceX) * channels : -1;
        for (let channel = 0; channel < channels; channel++) {
          output[to++] = table[channel * levels + (from < 0 ? 0 : pixels[from + channel])];
        }
      }
    }
    if (hole) this.clear(hole, output, offset);
  }

  private clear(centre: { y: number; x: number }, output: Float32Array, offset: number): void {
    const { height, width, channels, cutout } = this.options;
    const top = centre.y - (cutout >> 1);
    const left = centre.x - (cutout >> 1);
    const from = Math.max(0, left);
    const to = Math.min(width, left + cutout);
    for (let y = Math.max(0, top); y < Math.min(height, top + cutout); y++) {
      const row = offset + y * width * channels;
      output.fill(0, row + from * channels, row + to * channels);
    }
  }

  private choose(index: number, epoch: number): Choice {
    const { height, width, cropPadding, flip, cutout, seed } = this.options;
    if (epoch < 0 || (cropPadding === 0 && !flip && cutout === 0))
      return { top: 0, left: 0, mirrored: false };
    const random = randomStream(seed, 0xa6, epoch, index);
    const offsets = 2 * cropPadding + 1;
    const top = random.below(offsets) - cropPadding;
    const left = random.below(offsets) - cropPadding;
    const mirrored = flip && random.bits() < 0;
    const hole = cutout > 0 ? { y: random.below(height), x: random.below(width) } : undefined;
    return { top, left, mirrored, hole };
  }
}

/** @throws UserError `CONFIG_INVALID` where there is not one mean and one standard deviation a channel */
export function checkNormalisation(normalize: Normalisation | undefined, channels: number): void {
  for (const [name, values] of Object.entries<readonly number[]>({ ...normalize })) {
    if (values.length === channels) continue;
    throw new UserError(
      'CONFIG_INVALID',
      `data.normalize.${name} has ${values.length} value${values.length === 1 ? '' : 's'}, images have ${channels} channel${channels === 1 ? '' : 's'}`,
    );
  }
}

/** @throws UserError `CONFIG_INVALID` where the square is as large as the image */
export function checkCutout(cutout: number, height: number, width: number): void {
  const side = Math.min(height, width);
  if (cutout < side) return;
  throw new UserError(
    'CONFIG_INVALID',
    `data.augment.cutout is ${cutout}, images are ${width}x${height} pixels: give less than ${side}`,
  );
}
