import type { RandomStream } from '../util/random.js';
import type { RandAugmentSettings } from './augment-schema.js';
import type { Canvas } from './operations/canvas.js';
import { saturation } from './operations/colour.js';
import { autoContrast, brightness, contrast, equalize, posterize, solarize } from './operations/levels.js';
import { move, rotation, sharpness, shear, translation } from './operations/neighbours.js';

type Magnitude = Pick<RandAugmentSettings, 'magnitude' | 'numMagnitudeBins'>;

/** One operation of a magnitude, and 1 or -1 for the direction that some have. */
type Operation = (canvas: Canvas, of: Magnitude, sign: number) => void;

const { fround } = Math;

/** The magnitude's place from `low` to `high`, in the float32 arithmetic of PyTorch's `linspace`. */
function between(low: number, high: number, { magnitude, numMagnitudeBins: bins }: Magnitude): number {
  const step = fround((fround(high) - fround(low)) / (bins - 1));
  return magnitude < bins / 2
    ? fround(low + step * magnitude)
    : fround(fround(high) - step * (bins - 1 - magnitude));
}

/** The farthest that an image is shifted, of its side. */
const farthest = 150 / 331;

/** Those of torchvision's `v2.RandAugment`, with the same ranges and in the same order. */
export const operations: readonly Operation[] = [
  () => {},
  (canvas, of, sign) => move(canvas, shear(sign * between(0, 0.3, of), 0, canvas)),
  (canvas, of, sign) => move(canvas, shear(0, sign * between(0, 0.3, of), canvas)),
  (canvas, of, sign) =>
    move(canvas, translation(sign * Math.trunc(between(0, farthest * canvas.width, of)), 0)),
  (canvas, of, sign) =>
    move(canvas, translation(0, sign * Math.trunc(between(0, farthest * canvas.height, of)))),
  (canvas, of, sign) => move(canvas, rotation(sign * between(0, 30, of))),
  (canvas, of, sign) => brightness(canvas, 1 + sign * between(0, 0.9, of)),
  (canvas, of, sign) => saturation(canvas, 1 + sign * between(0, 0.9, of)),
  (canvas, of, sign) => contrast(canvas, 1 + sign * between(0, 0.9, of)),
  (canvas, of, sign) => sharpness(canvas, 1 + sign * between(0, 0.9, of)),
  (canvas, { magnitude, numMagnitudeBins }) =>
    posterize(canvas, 8 - Math.round((4 * magnitude) / (numMagnitudeBins - 1))),
  (canvas, of) => solarize(canvas, 255 * between(1, 0, of)),
  (canvas) => autoContrast(canvas),
  (canvas) => equalize(canvas),
];

/** RandAugment (arXiv 1909.13719): `numOps` operations, each any of all, of one magnitude. */
export function randAugment(canvas: Canvas, settings: RandAugmentSettings, random: RandomStream): void {
  for (let done = 0; done < settings.numOps; done++) {
    const operation = operations[random.below(operations.length)];
    operation(canvas, settings, random.bits() < 0 ? -1 : 1);
  }
}
