import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { ForwardPass } from '../../src/models/forward.js';
import { buildModel, models } from '../../src/models/index.js';
import { randomStream } from '../../src/util/random.js';
import { featuresOf } from '../../src/classifier/features.js';

const shape = [6, 5, 2] as const;
const [height, width, channels] = shape;
const count = 3;
const dim = 7;

describe('featuresOf', () => {
  let forward: ForwardPass;
  const random = randomStream(4);
  const images = Float32Array.from({ length: count * height * width * channels }, () => random.normal());
  const mirrored = images.map((_, at) => {
    const pixel = Math.floor(at / channels);
    return images[at + (width - 1 - 2 * (pixel % width)) * channels];
  });

  beforeAll(async () => {
    await initBackend('wasm');
    const config = models.schema.parse({ name: 'small-cnn', dim, channels: [4], strides: [2] });
    forward = new ForwardPass(await buildModel(config, { shape, seed: 1 }));
  });

  const features = (of: Float32Array, mirror: boolean) =>
    tf.tidy(() => {
      const result = featuresOf({ forward, shape, precision: 'float32' }, { images: of, count }, mirror);
      expect(result.shape).toEqual([count, dim]);
      return [...result.dataSync<'float32'>()];
    });

  it('gives, with mirror, the mean direction of an image and its mirror image', () => {
    const [plain, other] = [features(images, false), features(mirrored, false)];
    const both = features(images, true);
    expect(Math.max(...plain.map((value, at) => Math.abs(value - other[at])))).toBeGreaterThan(0.01);
    for (let row = 0; row < count; row++) {
      const at = (of: number[]) => of.slice(row * dim, (row + 1) * dim);
      const [a, b] = [at(plain), at(other)];
      const scale = (Math.hypot(...a) + Math.hypot(...b)) / 4;
      at(both).forEach((value, column) =>
        expect(value).toBeCloseTo(scale * (a[column] / Math.hypot(...a) + b[column] / Math.hypot(...b)), 5),
      );
    }
    features(mirrored, true).forEach((value, at) => expect(value).toBeCloseTo(both[at], 5));
  });
});
