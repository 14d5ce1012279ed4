import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Canvas } from '../../src/data/operations/canvas.js';
import { hue, saturation } from '../../src/data/operations/colour.js';
import {
  autoContrast,
  brightness,
  contrast,
  equalize,
  posterize,
  solarize,
} from '../../src/data/operations/levels.js';
import { sharpness } from '../../src/data/operations/neighbours.js';
import { operations } from '../../src/data/rand-augment.js';

interface Golden {
  height: number;
  width: number;
  colour: string;
  grey: string;
  operations: { name: keyof typeof named; arguments: [number]; pixels: string; channels: number }[];
  randAugment: { index: number; name: string; magnitude: number; sign: number; pixels: string }[];
}

/** Results of torchvision, written by golden/augmentation.py. */
const golden = JSON.parse(
  readFileSync(new URL('./golden/augmentation.json', import.meta.url), 'utf8'),
) as Golden;
const named = {
  ...{ autoContrast, brightness, contrast, equalize, posterize, solarize },
  ...{ hue, saturation, sharpness },
};

function changed(image: string, channels: number, change: (canvas: Canvas) => void): Uint8Array {
  const canvas = new Canvas(golden.height, golden.width, channels);
  canvas.pixels.set(Buffer.from(image, 'base64'));
  change(canvas);
  return canvas.pixels;
}

function bytes(image: string): Uint8Array {
  return Uint8Array.from(Buffer.from(image, 'base64'));
}

describe('operations on images', () => {
  it.each(golden.operations)(
    '$name $arguments of $channels channels gives the pixels of torchvision',
    ({ name, arguments: given, pixels, channels }) => {
      const image = channels === 1 ? golden.grey : golden.colour;
      expect(changed(image, channels, (canvas) => named[name](canvas, ...given))).toEqual(bytes(pixels));
    },
  );

  it.each(golden.randAugment)(
    "RandAugment's $name of magnitude $magnitude and sign $sign gives the pixels of torchvision",
    ({ index, magnitude, sign, pixels }) => {
      const made = changed(golden.colour, 3, (canvas) =>
        operations[index](canvas, { magnitude, numMagnitudeBins: 31 }, sign),
      );
      expect(made).toEqual(bytes(pixels));
    },
  );
});
