import { readFileSync } from 'node:fs';
import type { Sharp } from 'sharp';
import { messageOf, UserError } from '../errors.js';
import { loadSharp } from './decoder.js';
import type { Region } from './random-region.js';

export interface DecodeOptions {
  /** Side of the result in pixels. */
  size: number;
  channels: 1 | 3;
  /** Shorter side of the whole image before the centre of `size` x `size` is cut out; else it is stretched. */
  resize?: number;
  /** Chooses the part of the image that is stretched to `size` x `size`, from its width and height. */
  crop?: (width: number, height: number) => Region;
}

/**
 * Decodes one image file to raw pixels, row-major [size, size, channels]: transparency dropped, grey or RGB as asked.
 * The file is read whole and at once, in this thread: left to libvips a small one costs half as much time again.
 *
 * @throws UserError `IMAGE_INVALID`, naming the file
 */
export async function decodeImage(file: string, options: DecodeOptions): Promise<Uint8Array> {
  const { channels } = options;
  const sharp = await loadSharp();
  try {
    const image = (await sized(sharp(readFileSync(file), { failOn: 'error' }), options))
      .removeAlpha()
      .toColourspace(channels === 1 ? 'b-w' : 'srgb');
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (info.channels !== channels) throw new Error(`it has ${info.channels} channels`);
    return data;
  } catch (error) {
    throw unreadable(file, error);
  }
}

/**
 * Decodes a whole image file, to see whether it can be read; resolves with the size and channels it is stored with.
 *
 * @throws UserError `IMAGE_INVALID`, naming the file
 */
export async function probeImage(file: string): Promise<{ width: number; height: number; channels: number }> {
  const sharp = await loadSharp();
  try {
    const image = sharp(file, { failOn: 'error' });
    const { width, height, channels } = await image.metadata();
    await image.raw().toBuffer();
    return { width, height, channels };
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): UserError {
  return new UserError(
    'IMAGE_INVALID',
    `${file} is no image that can be read (${messageOf(error)}): replace or remove it`,
  );
}

async function sized(image: Sharp, { size, resize, crop }: DecodeOptions): Promise<Sharp> {
  if (crop) {
    const { width, height } = await image.metadata();
    return image.extract(crop(width, height)).resize(size, size, { fit: 'fill' });
  }
  if (resize === undefined) return image.resize(size, size, { fit: 'fill' });
  const { width, height } = await image.metadata();
  const shorter = Math.min(width, height);
  const w = Math.max(Math.round((width * resize) / shorter), size);
  const h = Math.max(Math.round((height * resize) / shorter), size);
  return image
    .resize(w, h, { fit: 'fill' })
    .extract({ left: (w - size) >> 1, top: (h - size) >> 1, width: size, height: size });
}
