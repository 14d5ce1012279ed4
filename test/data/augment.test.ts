import { describe, expect, it } from 'vitest';
import {
  Augmenter,
  checkAugmentation,
  checkNormalisation,
  type AugmentOptions,
} from '../../src/data/augment.js';
import { colorJitter } from '../../src/data/color-jitter.js';
import { Canvas } from '../../src/data/operations/canvas.js';
import { randomErasing } from '../../src/data/random-erasing.js';
import { augmentation } from '../../src/data/augment-schema.js';
import { UserError } from '../../src/util/errors.js';
import { randomStream } from '../../src/util/random.js';

const [height, width, channels] = [4, 5, 3];
const size = height * width * channels;
const options: AugmentOptions = {
  ...{ height, width, channels, white: 255, seed: 1 },
  ...{ cropPadding: 0, flip: false, cutout: 0 },
};
const random = randomStream(11);
/** Pixels above 0, which is the level of the border. */
const pixels = Uint8Array.from({ length: size }, () => 1 + random.below(255));

function write(own: Partial<AugmentOptions>, index: number, epoch: number): Float32Array {
  const output = new Float32Array(size);
  new Augmenter({ ...options, ...own }).write({ pixels, index, epoch }, output, 0);
  return output;
}

/** The image with a black border, cropped at (top, left), then mirrored, pixel by pixel. */
function moved(top: number, left: number, mirrored: boolean): Float32Array {
  const level = (y: number, x: number, channel: number) =>
    y < 0 || y >= height || x < 0 || x >= width ? 0 : pixels[(y * width + x) * channels + channel];
  const output = new Float32Array(size);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        const column = mirrored ? width - 1 - x : x;
        output[(y * width + x) * channels + channel] = level(y + top, column + left, channel) / 255;
      }
    }
  }
  return output;
}

/** Names of all outcomes of crop and flip, by the pixels of the outcome. */
function outcomes(padding: number, flips: readonly boolean[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let top = -padding; top <= padding; top++) {
    for (let left = -padding; left <= padding; left++) {
      for (const flip of flips) found.set(moved(top, left, flip).join(), `${top} ${left} ${flip}`);
    }
  }
  return found;
}

describe('Augmenter', () => {
  it('only scales pixels to 0..1 without augmentation', () => {
    expect(write({}, 3, 7)).toEqual(moved(0, 0, false));
  });

  it('does not augment images for evaluation', () => {
    for (let index = 0; index < 20; index++)
      expect(write({ cropPadding: 2, flip: true, cutout: 2 }, index, -1)).toEqual(moved(0, 0, false));
  });

  it.each([
    [1, false],
    [2, false],
    [0, true],
    [2, true],
  ])('gives every outcome of padding %i and flip %s equally often, and no other', (cropPadding, flip) => {
    const expected = outcomes(cropPadding, flip ? [false, true] : [false]);
    const images = 100 * expected.size;
    const counts = new Map<string, number>();
    for (let index = 0; index < images; index++) {
      const name = expected.get(write({ cropPadding, flip }, index, 4).join());
      expect(name).toBeDefined();
      counts.set(name as string, (counts.get(name as string) ?? 0) + 1);
    }
    expect(counts.size).toBe(expected.size);
    for (const count of counts.values()) expect(Math.abs(count - 100)).toBeLessThan(50);
  });

  it('draws colour operations and erasing by (seed, epoch, image), for any white level, and none for evaluation', () => {
    const { randAugment, colorJitter, randomErasing } = augmentation.parse({
      ...{ randAugment: { numOps: 2 }, colorJitter: { brightness: 0.5, hue: 0.5 } },
      randomErasing: { p: 1 },
    });
    for (const own of [
      { randAugment: { ...randAugment, magnitude: 20 } },
      { colorJitter },
      { randomErasing },
    ]) {
      expect(write(own, 5, 3)).toEqual(write(own, 5, 3));
      const changes = [0, 1, 2, 3].map((epoch) => write(own, 5, epoch).join());
      expect(new Set(changes).size).toBeGreaterThan(1);
      expect(write(own, 5, -1)).toEqual(write({}, 5, -1));
    }
    const image = Uint8Array.of(0, 4, 12, 16);
    const asBytes = image.map((level) => Math.round((level * 255) / 16));
    const [sixteen, bytes] = [
      [16, image],
      [255, asBytes],
    ].map(([white, pixels]) => {
      const about = { ...options, height: 2, width: 2, channels: 1, white: white as number };
      const augmenter = new Augmenter({ ...about, randAugment });
      return Array.from({ length: 9 }, (_, epoch) => {
        const output = new Float32Array(4);
        augmenter.write({ pixels: pixels as Uint8Array, index: 0, epoch }, output, 0);
        return output;
      });
    });
    expect(sixteen).toEqual(bytes);
  });

  it.each([1, 2, 3])('cuts out a square of side %i around each pixel equally often', (cutout) => {
    const normalize = { mean: [0.1, 0.2, 0.3], std: [0.5, 1, 2] };
    const whole = write({ normalize }, 0, 4);
    const holed = (centreY: number, centreX: number) => {
      const [top, left] = [centreY, centreX].map((centre) => centre - Math.floor(cutout / 2));
      const inside = (at: number) => {
        const [y, x] = [Math.floor(at / channels / width), Math.floor(at / channels) % width];
        return y >= top && y < top + cutout && x >= left && x < left + cutout;
      };
      return whole.map((value, at) => (inside(at) ? 0 : value)).join();
    };
    const expected = new Map<string, number>();
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) expected.set(holed(y, x), 0);
    expect(expected.size).toBe(height * width);
    for (let index = 0; index < 100 * height * width; index++) {
      const image = write({ normalize, cutout }, index, 4).join();
      expect(expected.has(image)).toBe(true);
      expected.set(image, (expected.get(image) as number) + 1);
    }
    for (const count of expected.values()) expect(Math.abs(count - 100)).toBeLessThan(50);
  });

  it('cuts out the square after crop and flip, which stay the same', () => {
    for (let index = 0; index < 50; index++) {
      const plain = write({ cropPadding: 1, flip: true }, index, 2);
      const holed = write({ cropPadding: 1, flip: true, cutout: 2 }, index, 2);
      const changed = holed.filter((value, at) => value !== plain[at]);
      expect(changed.every((value) => value === 0)).toBe(true);
      expect(changed.length).toBeLessThanOrEqual(2 * 2 * channels);
    }
  });

  it('depends on (seed, epoch, index) alone', () => {
    const own = { cropPadding: 3, flip: true, cutout: 2 };
    const augmenter = new Augmenter({ ...options, ...own });
    const output = new Float32Array(size);
    for (const index of [9, 2, 7]) augmenter.write({ pixels, index, epoch: 5 }, output, 0);
    expect(output).toEqual(write(own, 7, 5));

    const many = (seed: number, epoch: number, first: number) =>
      Array.from({ length: 30 }, (_, index) => write({ ...own, seed }, first + index, epoch).join()).join(
        ';',
      );
    expect(many(1, 5, 0)).toBe(many(1, 5, 0));
    expect(many(2, 5, 0)).not.toBe(many(1, 5, 0));
    expect(many(1, 6, 0)).not.toBe(many(1, 5, 0));
    expect(many(1, 5, 1)).not.toBe(many(1, 5, 0));
  });

  it('normalises each channel by its mean and deviation, including the border', () => {
    const normalize = { mean: [0.1, 0.2, 0.3], std: [0.5, 1, 2] };
    const plain = write({ cropPadding: 2 }, 1, 2);
    const normal = write({ cropPadding: 2, normalize }, 1, 2);
    expect(plain).toContain(0);
    plain.forEach((value, at) => {
      const channel = at % channels;
      expect(normal[at]).toBeCloseTo((value - normalize.mean[channel]) / normalize.std[channel], 6);
    });
  });

  it('writes only to the place of the image in the batch', () => {
    const output = new Float32Array(3 * size).fill(-7);
    new Augmenter(options).write({ pixels, index: 0, epoch: 0 }, output, size);
    expect(output.subarray(size, 2 * size)).toEqual(moved(0, 0, false));
    expect(output.subarray(0, size).every((value) => value === -7)).toBe(true);
    expect(output.subarray(2 * size).every((value) => value === -7)).toBe(true);
  });
});

describe('randomErasing', () => {
  const [height, width] = [20, 30];
  const erased = (settings: object, index: number) => {
    const output = new Float32Array(height * width * 3).fill(9);
    const all = { ...augmentation.parse({}).randomErasing, ...settings };
    randomErasing(output, 0, { height, width, channels: 3 }, all, randomStream(1, index));
    return output;
  };
  /** Position and size of the erased rectangle, and whether every pixel in it is erased. */
  const rectangle = (output: Float32Array) => {
    const places = [...output.keys()].filter((at) => output[at] !== 9).map((at) => Math.floor(at / 3));
    const [rows, columns] = [places.map((at) => Math.floor(at / width)), places.map((at) => at % width)];
    const [top, left] = [Math.min(...rows), Math.min(...columns)];
    const [h, w] = [Math.max(...rows) + 1 - top, Math.max(...columns) + 1 - left];
    return { top, left, h, w, isWhole: places.length === h * w * 3 };
  };

  it('erases rectangles with scale and ratio in the given ranges, anywhere in the image', () => {
    const settings = { p: 1, scale: [0.1, 0.2], ratio: [0.5, 2], value: [1, 2, 3] };
    const seen = Array.from({ length: 400 }, (_, index) => {
      const output = erased(settings, index);
      const found = rectangle(output);
      const { top, left, h, w, isWhole } = found;
      expect(isWhole).toBe(true);
      // Sides are rounded to whole pixels.
      expect((h + 0.5) * (w + 0.5)).toBeGreaterThanOrEqual(0.1 * height * width);
      expect((h - 0.5) * (w - 0.5)).toBeLessThanOrEqual(0.2 * height * width);
      expect((h + 0.5) / (w - 0.5)).toBeGreaterThanOrEqual(0.5);
      expect((h - 0.5) / (w + 0.5)).toBeLessThanOrEqual(2);
      const at = (top * width + left) * 3;
      expect([...output.subarray(at, at + 3)]).toEqual([1, 2, 3]);
      return found;
    });
    expect(Math.min(...seen.map(({ top }) => top))).toBe(0);
    expect(Math.max(...seen.map(({ top, h }) => top + h))).toBe(height);
    expect(Math.max(...seen.map(({ left, w }) => left + w))).toBe(width);
  });

  it("erases with probability p, and with normal noise for value 'random'", () => {
    const erasures = Array.from({ length: 1000 }, (_, index) => erased({ p: 0.3, value: 'random' }, index));
    const noise = erasures.flatMap((output) => [...output.filter((value) => value !== 9)]);
    const count = erasures.filter((output) => output.some((value) => value !== 9)).length;
    expect(Math.abs(count - 300)).toBeLessThan(60);
    const mean = noise.reduce((sum, value) => sum + value, 0) / noise.length;
    const square = noise.reduce((sum, value) => sum + value * value, 0) / noise.length;
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(square - 1)).toBeLessThan(0.02);
  });
});

describe('colorJitter', () => {
  it('changes brightness by factors that are uniform in the given range', () => {
    const settings = { ...augmentation.parse({}).colorJitter, brightness: 0.5 };
    const factors = Array.from({ length: 1000 }, (_, index) => {
      const canvas = new Canvas(1, 1, 1);
      canvas.pixels[0] = 160;
      colorJitter(canvas, settings, randomStream(2, index));
      return canvas.pixels[0] / 160;
    });
    for (const [least, most] of [
      [0.49, 0.75],
      [0.75, 1],
      [1, 1.25],
      [1.25, 1.51],
    ])
      expect(
        Math.abs(factors.filter((factor) => factor >= least && factor < most).length - 250),
      ).toBeLessThan(60);
    expect(factors.every((factor) => factor > 0.49 && factor < 1.51)).toBe(true);
  });
});

describe('checkNormalisation', () => {
  it('rejects a mean or deviation whose length is not the number of channels', () => {
    expect(() => checkNormalisation(undefined, 3)).not.toThrow();
    expect(() => checkNormalisation({ mean: [0, 0, 0], std: [1, 1, 1] }, 3)).not.toThrow();
    expect(() => checkNormalisation({ mean: [0], std: [1] }, 3)).toThrow(UserError);
    expect(() => checkNormalisation({ mean: [0, 0, 0], std: [1] }, 3)).toThrow(
      'data.normalize.std has 1 value, images have 3 channels',
    );
  });
});

describe('checkAugmentation', () => {
  const none = { cropPadding: 0, flip: false, cutout: 0 };
  const { randAugment, colorJitter, randomErasing } = augmentation.parse({});

  it('rejects a cutout as large as the image', () => {
    expect(() => checkAugmentation(none, [1, 1, 3])).not.toThrow();
    expect(() => checkAugmentation({ ...none, cutout: 7 }, [8, 9, 3])).not.toThrow();
    expect(() => checkAugmentation({ ...none, cutout: 8 }, [8, 9, 3])).toThrow(
      'data.augment.cutout is 8, images are 9x8 pixels: give less than 8',
    );
  });

  it('rejects colour operations on 4 channels, and an erasing value whose length is not the number of channels', () => {
    const all = { ...none, randAugment, colorJitter, randomErasing };
    expect(() => checkAugmentation(all, [8, 8, 4])).not.toThrow();
    expect(() => checkAugmentation({ ...all, colorJitter: { ...colorJitter, hue: 0.1 } }, [8, 8, 4])).toThrow(
      'data.augment.colorJitter takes images of 1 or 3 channels, not of 4: leave it out',
    );
    const two = { ...randomErasing, value: [0, 1] };
    expect(() => checkAugmentation({ ...all, randomErasing: two }, [8, 8, 2])).not.toThrow();
    expect(() => checkAugmentation({ ...all, randomErasing: two }, [8, 8, 1])).toThrow(
      'data.augment.randomErasing.value has 2 values, images have 1 channel',
    );
  });
});
