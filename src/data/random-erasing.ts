import type { RandomStream } from '../util/random.js';
import { UserError } from '../util/errors.js';
import type { RandomErasingSettings } from './augment-schema.js';

const tries = 10;

interface Shape {
  height: number;
  width: number;
  channels: number;
}

/**
 * Random erasing (arXiv 1708.04896), as torchvision's `v2.RandomErasing`: with probability p a rectangle, anywhere in the image
 * that lies in `output` at `offset`. Its area and the logarithm of its height to width are uniform; where ten tries do not
 * fit, nothing is erased.
 */
export function randomErasing(
  output: Float32Array,
  offset: number,
  { height, width, channels }: Shape,
  { p, scale, ratio, value }: RandomErasingSettings,
  random: RandomStream,
): void {
  if (random.uniform() >= p) return;
  const between = (low: number, high: number) => low + (high - low) * random.uniform();
  for (let attempt = 0; attempt < tries; attempt++) {
    const area = height * width * between(scale[0], scale[1]);
    const aspect = Math.exp(between(Math.log(ratio[0]), Math.log(ratio[1])));
    const h = Math.round(Math.sqrt(area * aspect));
    const w = Math.round(Math.sqrt(area / aspect));
    if (h >= height || w >= width) continue;
    const top = random.below(height - h + 1);
    const left = random.below(width - w + 1);
    const levels = typeof value === 'number' ? [value] : value;
    for (let y = top; y < top + h; y++) {
      const start = offset + (y * width + left) * channels;
      for (let at = 0; at < w * channels; at++)
        output[start + at] =
          levels === 'random' ? random.normal() : levels[levels.length === 1 ? 0 : at % channels];
    }
    return;
  }
}

/** @throws UserError `CONFIG_INVALID` where there is neither one value nor one a channel */
export function checkErasing({ value }: RandomErasingSettings, channels: number): void {
  if (!Array.isArray(value) || value.length === 1 || value.length === channels) return;
  throw new UserError(
    'CONFIG_INVALID',
    `data.augment.randomErasing.value has ${value.length} values, images have ${channels} channel${channels === 1 ? '' : 's'}`,
  );
}
