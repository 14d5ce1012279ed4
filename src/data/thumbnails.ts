import { largest, smallest } from '../util/extremes.js';
import type { Dataset } from './dataset.js';
import { loadSharp } from './decoder.js';

/** Images of the test split as PNGs in base 64, `side` pixels wide and high, each from its darkest value to its brightest. */
export async function thumbnails(
  dataset: Dataset,
  images: readonly number[],
  side: number,
): Promise<string[]> {
  const sharp = await loadSharp();
  const [height, width, channels] = dataset.shape;
  const values = height * width * channels;
  const found: string[] = [];
  const request = { split: 'test', batches: [Int32Array.from(images)], epoch: 0 } as const;
  for await (const batch of dataset.read(request))
    for (let image = 0; image < batch.count; image++) {
      const pixels = batch.images.subarray(image * values, (image + 1) * values);
      const [least, most] = [smallest(pixels), largest(pixels)];
      const scale = most > least ? 255 / (most - least) : 0;
      const bytes = Uint8Array.from(pixels, (value) => Math.round((value - least) * scale));
      const raw = { width, height, channels: channels as 1 | 3 };
      const png = await sharp(bytes, { raw }).resize(side, side, { kernel: 'nearest' }).png().toBuffer();
      found.push(png.toString('base64'));
    }
  return found;
}
