import type { Sharp } from 'sharp';
import type { PixelRules } from './pixel-rules.js';
import { loadSharp } from './decoder.js';
import { Budget } from './budget.js';
import { isAnimated, kindOf, type EncodedImage } from './image-file.js';
import { filePlace, type ImagePlace } from './places/place.js';
import type { Region } from './random-region.js';
import { explainDecoding } from './undecodable.js';

export interface DecodeOptions {
  /** Side of the result in pixels. */
  size: number;
  channels: 1 | 3;
  /** Shorter side of the whole image before the centre of `size` x `size` is cut out; else it is stretched. */
  resize?: number;
  /** Chooses the part of the image that is stretched to `size` x `size`, from its width and height. */
  crop?: (width: number, height: number) => Region;
  rules: PixelRules;
  /** Called for an image that moves, of which only the first frame is decoded. */
  onAnimated?(): void;
}

/** Bytes of files that a thread holds at a time, unless one alone is larger. */
const heldBytes = 64 * 2 ** 20;

const held = new Budget(heldBytes);

/**
 * Decodes one image, a file or what lies elsewhere, to raw pixels, row-major [size, size, channels]. A file is read whole
 * and at once, in this thread: left to libvips a small one costs half as much time again.
 *
 * @throws UserError `IMAGE_INVALID`, naming the file
 */
export async function decodeImage(image: string | ImagePlace, options: DecodeOptions): Promise<Uint8Array> {
  const place = typeof image === 'string' ? filePlace(image) : image;
  return held.run(place.size(), async () =>
    decodeBytes({ file: place.file, bytes: await place.read() }, options),
  );
}

/**
 * Decodes one image to raw pixels, row-major [size, size, channels], in this order: orientation, colours to sRGB by the
 * image's own profile, transparency painted over the background, crop, resize by Lanczos (a = 3; bicubic where it is
 * enlarged) in each channel, 8 bits, grey. Every step but the last is libvips'; grey is Rec. 601's luma of the 8-bit
 * values, in the fixed-point arithmetic that Pillow has, so that equal pixels give equal grey.
 *
 * @throws UserError `IMAGE_INVALID`, naming the file
 */
export async function decodeBytes(image: EncodedImage, options: DecodeOptions): Promise<Uint8Array> {
  const { channels, rules, onAnimated } = options;
  const kind = kindOf(image);
  if (onAnimated && isAnimated(image.bytes)) onAnimated();
  const sharp = await loadSharp();
  const lightness = channels === 1 && rules.grey === 'lightness';
  try {
    const opened = sharp(image.bytes, decoderOptions(rules));
    if (!rules.shrinkOnLoad || (kind === 'WebP' && rules.background !== 'drop')) keepWhole(opened);
    if (rules.background !== 'drop') opened.flatten({ background: rules.background });
    const resized = await sized(opened, options);
    const final = resized.removeAlpha().toColourspace(lightness ? 'b-w' : 'srgb');
    const { data, info } = await final.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (info.channels !== (lightness ? 1 : 3)) throw new Error(`it has ${info.channels} channels`);
    return channels === 1 && !lightness ? luma(data) : data;
  } catch (error) {
    throw explainDecoding(image, kind, rules, error);
  }
}

/** Options of the decoder that follow from the rules. */
export function decoderOptions({ orientation, maxMegapixels }: PixelRules) {
  return {
    failOn: 'error',
    autoOrient: orientation === 'apply',
    limitInputPixels: maxMegapixels * 1e6,
  } as const;
}

/** Has every pixel decoded, where the decoder would leave some out: an image in one colour space is not reloaded. */
function keepWhole(image: Sharp): void {
  image.pipelineColourspace('srgb');
}

async function sized(image: Sharp, { size, resize, crop, rules }: DecodeOptions): Promise<Sharp> {
  if (crop) {
    const { width, height } = await dimensionsOf(image, rules);
    return image.extract(crop(width, height)).resize(size, size, { fit: 'fill' });
  }
  if (resize === undefined) return image.resize(size, size, { fit: 'fill' });
  const { width, height } = await dimensionsOf(image, rules);
  const shorter = Math.min(width, height);
  const w = Math.max(Math.round((width * resize) / shorter), size);
  const h = Math.max(Math.round((height * resize) / shorter), size);
  if (w * h > rules.maxMegapixels * 1e6)
    throw new Error(`with ${width}x${height} pixels it is too oblong to be resized to ${w}x${h}`);
  return image
    .resize(w, h, { fit: 'fill' })
    .extract({ left: (w - size) >> 1, top: (h - size) >> 1, width: size, height: size });
}

/** Width and height of an image as it is seen. */
async function dimensionsOf(
  image: Sharp,
  { orientation }: PixelRules,
): Promise<{ width: number; height: number }> {
  const { width, height, autoOrient } = await image.metadata();
  return orientation === 'apply' ? autoOrient : { width, height };
}

function luma(rgb: Uint8Array): Uint8Array {
  const grey = new Uint8Array(rgb.length / 3);
  for (let at = 0, from = 0; at < grey.length; at++, from += 3)
    grey[at] = (19595 * rgb[from] + 38470 * rgb[from + 1] + 7471 * rgb[from + 2] + 0x8000) >> 16;
  return grey;
}
