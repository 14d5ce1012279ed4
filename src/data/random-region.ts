import type { RandomStream } from '../util/random.js';

/** A rectangle of an image, in pixels. */
export interface Region {
  left: number;
  top: number;
  width: number;
  height: number;
}

const tries = 10;
const area = [0.08, 1] as const;
const logAspect = [Math.log(3 / 4), Math.log(4 / 3)] as const;

/**
 * The random crop of Inception training (arXiv 1409.4842): 8 to 100 % of the area, width to height 3:4 to 4:3, the
 * logarithm of the ratio uniform, anywhere in the image. Where ten tries do not fit, the largest centre of an allowed
 * ratio.
 */
export function randomRegion(width: number, height: number, random: RandomStream): Region {
  const between = ([low, high]: readonly [number, number]) => low + (high - low) * random.uniform();
  for (let attempt = 0; attempt < tries; attempt++) {
    const pixels = width * height * between(area);
    const aspect = Math.exp(between(logAspect));
    const w = Math.round(Math.sqrt(pixels * aspect));
    const h = Math.round(Math.sqrt(pixels / aspect));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    return { left: random.below(width - w + 1), top: random.below(height - h + 1), width: w, height: h };
  }
  const aspect = Math.min(Math.max(width / height, 3 / 4), 4 / 3);
  const w = Math.min(width, Math.round(height * aspect));
  const h = Math.min(height, Math.round(width / aspect));
  return { left: (width - w) >> 1, top: (height - h) >> 1, width: w, height: h };
}
