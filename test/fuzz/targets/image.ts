import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { decodeImage } from '../../../src/data/decode.js';
import { standardRules } from '../../data/rules.js';
import { Broken, type Target } from '../judge.js';
import { mutated } from '../mutations.js';

interface ImageFile {
  bytes: Buffer;
  ending: string;
  channels: 1 | 3;
  resize?: number;
}

const size = 8;
let inputs: fc.Arbitrary<ImageFile>;

async function samples(): Promise<Buffer[]> {
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 60 };
  const grey = () => sharp({ create: { width: 12, height: 9, channels: 3, background: '#888', noise } });
  const alpha = { r: 9, g: 120, b: 240, alpha: 0.5 };
  const clear = () => sharp({ create: { width: 9, height: 12, channels: 4, background: alpha } });
  const encoded = await Promise.all([
    grey().png().toBuffer(),
    grey().png({ progressive: true, palette: true }).toBuffer(),
    grey().jpeg().toBuffer(),
    grey().jpeg({ progressive: true }).withMetadata({ orientation: 6 }).toBuffer(),
    grey().webp({ lossless: true }).toBuffer(),
    grey().toColourspace('b-w').jpeg().toBuffer(),
    clear().png().toBuffer(),
    clear().toColourspace('rgb16').png().toBuffer(),
    clear().webp().toBuffer(),
    clear().gif().toBuffer(),
  ]);
  return [
    ...encoded,
    Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    ),
  ];
}

/** An image file of a supported or unsupported format, under any ending. */
export const image: Target<ImageFile> = {
  name: 'image',
  codes: ['IMAGE_INVALID'],
  // A progressive JPEG of 100 megapixels is decoded as a whole.
  megabytes: 512,
  async prepare() {
    inputs = fc.record({
      bytes: mutated(await samples(), { most: 4 }),
      ending: fc.constantFrom('png', 'jpg', 'webp'),
      channels: fc.constantFrom(1, 3),
      resize: fc.option(fc.integer({ min: size, max: 20 }), { nil: undefined }),
    });
  },
  get inputs() {
    return inputs;
  },
  async read({ bytes, ending, channels, resize }, folder) {
    const file = join(folder, `image.${ending}`);
    writeFileSync(file, bytes);
    const pixels = await decodeImage(file, { size, channels, resize, rules: standardRules });
    if (pixels.length !== size * size * channels)
      throw new Broken(`${pixels.length} bytes of pixels for ${size}x${size}x${channels}`);
  },
};
