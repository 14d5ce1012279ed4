import { describe, expect, it } from 'vitest';
import { Augmenter, checkCutout, checkNormalisation, type AugmentOptions } from '../../src/data/augment.js';
import { UserError } from '../../src/util/errors.js';
import { randomStream } from '../../src/util/random.js';

const [height, width, channels] = [4, 5, 3];
const size = height * width * channels;
const options: AugmentOptions = {
  ...{ height, width, channels, white: 255, seed: 1 },
  ...{ cropPadding: 0, flip: false, cutout: 0 },
};
const random = randomStream(11);
/** No pixel is 0, the level of the border. */
const pixels = Uint8Array.from({ length: size }, () => 1 + random.below(255));

function write(own: Partial<AugmentOptions>, index: number, epoch: number): Float32Array {
  const output = new Float32Array(size);
  new Augmenter({ ...options, ...own }).write({ pixels, index, epoch }, output, 0);
  return output;
}

/** The image moved by (top, left) out of a black border, then mirrored, pixel by pixel. */
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

/** Every outcome that crop and flip may have, by name. */
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
  it('leaves an image as it is without augmentation, scaled to 0..1', () => {
    expect(write({}, 3, 7)).toEqual(moved(0, 0, false));
  });

  it('never augments for evaluation', () => {
    for (let index = 0; index < 20; index++)
      expect(write({ cropPadding: 2, flip: true, cutout: 2 }, index, -1)).toEqual(moved(0, 0, false));
  });

  it.each([
    [1, false],
    [2, false],
    [0, true],
    [2, true],
  ])('with padding %i and flip %s gives each outcome, and no other, equally often', (cropPadding, flip) => {
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

  it.each([1, 2, 3])('takes out a square of %i about any pixel equally often', (cutout) => {
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

  it('crops and mirrors as without a square taken out, and takes it out afterwards', () => {
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

  it('normalises each channel by its own mean and deviation, the border too', () => {
    const normalize = { mean: [0.1, 0.2, 0.3], std: [0.5, 1, 2] };
    const plain = write({ cropPadding: 2 }, 1, 2);
    const normal = write({ cropPadding: 2, normalize }, 1, 2);
    expect(plain).toContain(0);
    plain.forEach((value, at) => {
      const channel = at % channels;
      expect(normal[at]).toBeCloseTo((value - normalize.mean[channel]) / normalize.std[channel], 6);
    });
  });

  it('writes at its place in the batch and nowhere else', () => {
    const output = new Float32Array(3 * size).fill(-7);
    new Augmenter(options).write({ pixels, index: 0, epoch: 0 }, output, size);
    expect(output.subarray(size, 2 * size)).toEqual(moved(0, 0, false));
    expect(output.subarray(0, size).every((value) => value === -7)).toBe(true);
    expect(output.subarray(2 * size).every((value) => value === -7)).toBe(true);
  });
});

describe('checkNormalisation', () => {
  it('wants a value a channel', () => {
    expect(() => checkNormalisation(undefined, 3)).not.toThrow();
    expect(() => checkNormalisation({ mean: [0, 0, 0], std: [1, 1, 1] }, 3)).not.toThrow();
    expect(() => checkNormalisation({ mean: [0], std: [1] }, 3)).toThrow(UserError);
    expect(() => checkNormalisation({ mean: [0, 0, 0], std: [1] }, 3)).toThrow(
      'data.normalize.std has 1 value, images have 3 channels',
    );
  });
});

describe('checkCutout', () => {
  it('leaves something of the image', () => {
    expect(() => checkCutout(0, 1, 1)).not.toThrow();
    expect(() => checkCutout(7, 8, 9)).not.toThrow();
    expect(() => checkCutout(8, 8, 9)).toThrow(
      'data.augment.cutout is 8, images are 9x8 pixels: give less than 8',
    );
  });
});
