import { blend, greyOf, type Canvas } from './canvas.js';

/**
 * Operations on the levels of an image, each the one of that name in torchvision's `transforms.v2.functional` for images of
 * bytes, to the level: every level becomes another one, whatever its neighbours.
 */

const { fround } = Math;

/** The levels times `factor`. */
export function brightness(canvas: Canvas, factor: number): void {
  const own = fround(factor);
  replace(canvas, (level) => blend(level, 0, own, 0));
}

/** `factor` of the image and the rest of its mean grey. */
export function contrast(canvas: Canvas, factor: number): void {
  const mean = meanGrey(canvas);
  const [own, other] = [fround(factor), fround(1 - factor)];
  replace(canvas, (level) => blend(level, mean, own, other));
}

/** The upper `bits` bits of each level. */
export function posterize(canvas: Canvas, bits: number): void {
  const mask = ((1 << bits) - 1) << (8 - bits);
  replace(canvas, (level) => level & mask);
}

/** Levels from `threshold` on, 0 to 255, become their opposite. */
export function solarize(canvas: Canvas, threshold: number): void {
  replace(canvas, (level) => (level >= threshold ? 255 - level : level));
}

/** Each channel stretched to 0 to 255. */
export function autoContrast(canvas: Canvas): void {
  replaceByChannel(canvas, (histogram) => {
    const low = histogram.findIndex((count) => count > 0);
    const high = histogram.findLastIndex((count) => count > 0);
    if (low === high) return (level) => level;
    const scale = fround((high - low) * fround(1 / 255));
    return (level) => Math.min(255, fround((level - low) / scale)) | 0;
  });
}

/** Each channel's histogram made even, by Pillow's scheme. */
export function equalize(canvas: Canvas): void {
  replaceByChannel(canvas, (histogram, images) => {
    const last = histogram.findLastIndex((count) => count > 0);
    const step = Math.floor((images - histogram[last]) / 255);
    if (step === 0) return (level) => level;
    const table = new Uint8Array(256);
    let below = step >> 1;
    for (let level = 1; level < 256; level++) {
      below += histogram[level - 1];
      table[level] = Math.min(255, Math.floor(below / step));
    }
    return (level) => table[level];
  });
}

function meanGrey({ pixels, channels }: Canvas): number {
  let sum = 0;
  if (channels === 1) for (const level of pixels) sum += level;
  else
    for (let at = 0; at < pixels.length; at += 3) sum += greyOf(pixels[at], pixels[at + 1], pixels[at + 2]);
  return fround(sum / (pixels.length / channels));
}

function replace({ pixels }: Canvas, levelOf: (level: number) => number): void {
  const table = Uint8Array.from({ length: 256 }, (_, level) => levelOf(level));
  for (let at = 0; at < pixels.length; at++) pixels[at] = table[pixels[at]];
}

/** `tableOf` gets how many pixels of a channel have each level, and how many pixels there are. */
function replaceByChannel(
  { pixels, channels }: Canvas,
  tableOf: (histogram: Uint32Array, count: number) => (level: number) => number,
): void {
  for (let channel = 0; channel < channels; channel++) {
    const histogram = new Uint32Array(256);
    for (let at = channel; at < pixels.length; at += channels) histogram[pixels[at]]++;
    const levelOf = tableOf(histogram, pixels.length / channels);
    const table = Uint8Array.from({ length: 256 }, (_, level) => (histogram[level] > 0 ? levelOf(level) : 0));
    for (let at = channel; at < pixels.length; at += channels) pixels[at] = table[pixels[at]];
  }
}
