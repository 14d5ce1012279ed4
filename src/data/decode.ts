import sharp from 'sharp';
import { messageOf, UserError } from '../errors.js';

sharp.concurrency(1);
sharp.cache(false);

/**
 * Decodes one image file to raw pixels, row-major [size, size, channels]: stretched where its size differs,
 * transparency dropped, grey or RGB as asked.
 *
 * @throws UserError `IMAGE_INVALID`, naming the file
 */
export async function decodeImage(file: string, size: number, channels: 1 | 3): Promise<Uint8Array> {
  try {
    const image = sharp(file, { failOn: 'error' })
      .resize(size, size, { fit: 'fill' })
      .removeAlpha()
      .toColourspace(channels === 1 ? 'b-w' : 'srgb');
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (info.channels !== channels) throw new Error(`it has ${info.channels} channels`);
    return data;
  } catch (error) {
    throw new UserError(
      'IMAGE_INVALID',
      `${file} is no image that can be read (${messageOf(error)}): replace or remove it`,
    );
  }
}
