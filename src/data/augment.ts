import { UserError } from '../util/errors.js';
import { randomStream } from '../util/random.js';
import type { AugmentSettings } from './augment-schema.js';
import { colorJitter, jitters } from './color-jitter.js';
import { Canvas } from './operations/canvas.js';
import { randAugment } from './rand-augment.js';
import { checkErasing, randomErasing } from './random-erasing.js';

/** A mean and a standard deviation a channel, of values in 0..1. */
export interface Normalisation {
  mean: readonly number[];
  std: readonly number[];
}

/** How raw pixels become a network's input. */
export interface AugmentOptions extends AugmentSettings {
  height: number;
  width: number;
  channels: number;
  /** Raw value that becomes 1 before normalisation: 255 for image files, 16 for digits. */
  white: number;
  normalize?: Normalisation;
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
 * Writes images into a batch: random crop out of a black border, random mirror image, RandAugment, colour jitter,
 * normalisation, a square of zeros (cutout, arXiv 1708.04552) whose centre is anywhere in the image, so that part of it may
 * lie outside, and random erasing; with `normalize` a zero is the mean colour. Where nothing changes colours or shapes, it is
 * one pass over the pixels; else these are done on bytes in between. Every choice comes from a stream (seed, epoch, image
 * index), so an image looks the same whichever rank, thread or batch it is in.
 */
export class Augmenter {
  /** What each raw level becomes, by channel. */
  private readonly table: Float32Array;
  /** What RandAugment and colour jitter work on. */
  private readonly canvas: Canvas | undefined;
  /** For these: bytes of the raw levels, and what each byte becomes. */
  private readonly bytes: Uint8Array;
  private readonly byteTable: Float32Array;

  constructor(private readonly options: AugmentOptions) {
    const { height, width, channels, white, randAugment, colorJitter } = options;
    this.table = normalised(options, white);
    const changes = (randAugment?.numOps ?? 0) > 0 || (colorJitter !== undefined && jitters(colorJitter));
    if (changes) this.canvas = new Canvas(height, width, channels);
    this.bytes = Uint8Array.from({ length: channels * (white + 1) }, (_, at) =>
      Math.round(((at % (white + 1)) * 255) / white),
    );
    this.byteTable = normalised(options, 255);
  }

  /** Writes one image into `output` at `offset`. */
  write({ pixels, index, epoch }: ImageJob, output: Float32Array, offset: number): void {
    const choice = this.choose(index, epoch);
    const { canvas } = this;
    if (canvas && epoch >= 0) {
      this.place(pixels, choice, this.bytes, canvas.pixels, 0);
      this.change(canvas, index, epoch);
      this.normalise(canvas.pixels, output, offset);
    } else this.place(pixels, choice, this.table, output, offset);
    if (choice.hole) this.clear(choice.hole, output, offset);
    const { randomErasing: erasing, seed } = this.options;
    if (erasing && erasing.p > 0 && epoch >= 0)
      randomErasing(output, offset, this.options, erasing, randomStream(seed, 0xe7, epoch, index));
  }

  /** The image cropped and mirrored, its levels replaced by those of `table`. */
  private place(
    pixels: Uint8Array,
    { top, left, mirrored }: Choice,
    table: Float32Array | Uint8Array,
    output: Float32Array | Uint8Array,
    offset: number,
  ): void {
    const { height, width, channels, white } = this.options;
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
  }

  private change(canvas: Canvas, index: number, epoch: number): void {
    const { randAugment: operations, colorJitter: jitter, seed } = this.options;
    if (operations && operations.numOps > 0)
      randAugment(canvas, operations, randomStream(seed, 0xa9, epoch, index));
    if (jitter && jitters(jitter)) colorJitter(canvas, jitter, randomStream(seed, 0xc0, epoch, index));
  }

  private normalise(pixels: Uint8Array, output: Float32Array, offset: number): void {
    const { channels } = this.options;
    const table = this.byteTable;
    for (let at = 0; at < pixels.length; at += channels)
      for (let channel = 0; channel < channels; channel++)
        output[offset + at + channel] = table[channel * 256 + pixels[at + channel]];
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

/** What the levels 0 to `white` become, by channel. */
function normalised({ channels, normalize }: AugmentOptions, white: number): Float32Array {
  const table = new Float32Array(channels * (white + 1));
  for (let channel = 0; channel < channels; channel++) {
    const mean = normalize?.mean[channel] ?? 0;
    const std = normalize?.std[channel] ?? 1;
    for (let value = 0; value <= white; value++)
      table[channel * (white + 1) + value] = (value / white - mean) / std;
  }
  return table;
}

/**
 * Checks what only the images decide.
 *
 * @throws UserError `CONFIG_INVALID` for a cutout as large as the image, operations on colours that it has not, or another
 *   number of values to erase with
 */
export function checkAugmentation(
  { cutout, randAugment, colorJitter, randomErasing }: AugmentSettings,
  [height, width, channels]: readonly [number, number, number],
): void {
  const side = Math.min(height, width);
  if (cutout >= side) {
    throw new UserError(
      'CONFIG_INVALID',
      `data.augment.cutout is ${cutout}, images are ${width}x${height} pixels: give less than ${side}`,
    );
  }
  const changes = [
    ['randAugment', randAugment !== undefined && randAugment.numOps > 0],
    ['colorJitter', colorJitter !== undefined && jitters(colorJitter)],
  ] as const;
  const [changed] = changes.find(([, isSet]) => isSet) ?? [];
  if (changed && channels !== 1 && channels !== 3) {
    throw new UserError(
      'CONFIG_INVALID',
      `data.augment.${changed} takes images of 1 or 3 channels, not of ${channels}: leave it out`,
    );
  }
  if (randomErasing) checkErasing(randomErasing, channels);
}
