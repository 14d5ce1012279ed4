import type { Comparison } from './comparison.js';
import type { Evaluation } from './schema.js';
import { areaUnderRoc } from './statistics.js';

const thresholds = Array.from({ length: 101 }, (_, index) => index / 100);

/**
 * Counts the images that a threshold on the cosine to the assigned class accepts: test images, and images of classes
 * that were never trained, if there are any. Features without a direction are never accepted.
 */
export function measureRejection(
  { labels, assigned, chosen }: Comparison,
  unknown?: { folder: string; cosines: readonly number[] },
): Evaluation['rejection'] {
  const cosines = [...chosen];
  const right = cosines.filter((_, image) => assigned[image] === labels[image]);
  const accepted = (values: readonly number[]) => {
    const sorted = Float64Array.from(values).sort();
    return thresholds.map((threshold) => sorted.length - firstFrom(sorted, threshold));
  };
  const known = { thresholds: [...thresholds], accepted: accepted(cosines), correct: accepted(right) };
  if (!unknown) return known;
  return {
    ...known,
    unknown: {
      folder: unknown.folder,
      images: unknown.cosines.length,
      accepted: accepted(unknown.cosines),
      auroc: areaUnderRoc(cosines, unknown.cosines),
    },
  };
}

/** Position of the first of the sorted values that is at least `least`. */
function firstFrom(sorted: Float64Array, least: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}
