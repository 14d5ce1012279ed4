import { randomStream, type RandomStream } from '../util/random.js';
import type { AugmentSettings } from './augment-schema.js';

/** How each image of a batch is mixed with its partner. */
export interface Mix {
  /** Weight of the image itself, and of its class; the rest is its partner's. */
  share: number;
  /** CutMix: the rectangle that is the partner's, instead of a weighted sum. */
  box?: { top: number; left: number; height: number; width: number };
}

export type MixSettings = Pick<AugmentSettings, 'mixup' | 'cutmix' | 'mixProbability'>;

type Shape = readonly [height: number, width: number, channels: number];

/** Whether batches are mixed at all. */
export function isMixing({ mixup, cutmix }: MixSettings): boolean {
  return (mixup?.alpha ?? 0) > 0 || (cutmix?.alpha ?? 0) > 0;
}

/**
 * How a global batch is mixed, by (seed, epoch, place of the batch in the epoch) alone: MixUp (arXiv 1710.09412) or CutMix
 * (arXiv 1905.04899), each as often as the other where both are set; undefined where it is not. The share is drawn from
 * Beta(alpha, alpha). CutMix's rectangle has its centre anywhere in the image, and the share is what is left of the area.
 */
export function drawMix(
  { mixup, cutmix, mixProbability = 1 }: MixSettings,
  { seed, epoch, batch, shape }: { seed: number; epoch: number; batch: number; shape: Shape },
): Mix | undefined {
  const random = randomStream(seed, 0x3135, epoch, batch);
  if (random.uniform() >= mixProbability) return undefined;
  const alphas = [mixup?.alpha ?? 0, cutmix?.alpha ?? 0] as const;
  const cuts = alphas[0] === 0 || (alphas[1] > 0 && random.bits() < 0);
  const share = beta(alphas[cuts ? 1 : 0], random);
  if (!cuts) return { share };
  const [height, width] = shape;
  return cutOf(share, [random.below(width), random.below(height)], shape);
}

/** CutMix's rectangle of this share about a centre, cut off at the borders, and the share that it leaves. */
export function cutOf(
  share: number,
  [x, y]: readonly [number, number],
  [height, width]: readonly [number, number, number],
): Required<Mix> {
  const half = 0.5 * Math.sqrt(1 - share);
  const [halfWidth, halfHeight] = [Math.trunc(half * width), Math.trunc(half * height)];
  const [left, top] = [Math.max(0, x - halfWidth), Math.max(0, y - halfHeight)];
  const box = {
    top,
    left,
    height: Math.min(height, y + halfHeight) - top,
    width: Math.min(width, x + halfWidth) - left,
  };
  return { share: 1 - (box.width * box.height) / (width * height), box };
}

/**
 * Mixes all images but the first with the one before each, in place, from the last one on, so that every partner is still
 * whole. `images` is row-major [n + 1, height, width, channels].
 */
export function mixInPlace(images: Float32Array, { share, box }: Mix, shape: Shape): void {
  const [height, width, channels] = shape;
  const size = height * width * channels;
  if (!box) {
    const rest = 1 - share;
    for (let at = images.length - 1; at >= size; at--)
      images[at] = share * images[at] + rest * images[at - size];
    return;
  }
  for (let image = images.length - size; image >= size; image -= size)
    for (let y = box.top; y < box.top + box.height; y++) {
      const start = image + (y * width + box.left) * channels;
      images.copyWithin(start, start - size, start - size + box.width * channels);
    }
}

/** A number of Beta(alpha, alpha): a / (a + b) for a and b of Gamma(alpha), whose logarithms never underflow. */
function beta(alpha: number, random: RandomStream): number {
  const difference = logGamma(alpha, random) - logGamma(alpha, random);
  return 1 / (1 + Math.exp(-difference));
}

/** The logarithm of a number of Gamma(alpha), by Marsaglia and Tsang's method (ACM TOMS 26, 2000). */
function logGamma(alpha: number, random: RandomStream): number {
  const boost = alpha < 1 ? Math.log(1 - random.uniform()) / alpha : 0;
  const d = (alpha < 1 ? alpha + 1 : alpha) - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v))
      return Math.log(d * v) + boost;
  }
}
