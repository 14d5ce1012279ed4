import type { Comparison } from './comparison.js';
import type { Evaluation } from './schema.js';
import { areaUnderRoc, averagePrecision, falsePositives } from './statistics.js';

/** Scores of an image by which it may be told from images of unknown classes. */
export interface Strangeness {
  /** Score of the assigned class: cosine or probability. */
  score: readonly number[];
  /** Score of the assigned class less that of the next. */
  margin: readonly number[];
  /** Length of the features; 0 where they have no direction. */
  norm: readonly number[];
}

const thresholds = Array.from({ length: 101 }, (_, index) => index / 100);

/**
 * Counts the images that a threshold on the score of the assigned class (cosine or probability) accepts: test images, and
 * images of classes that were never trained, if there are any. Features without a direction are never accepted.
 */
export function measureRejection(
  images: Comparison,
  unknown?: { folder: string; scores: Pick<Comparison, 'chosen' | 'next' | 'norm'> },
): Evaluation['rejection'] {
  const { labels, assigned, chosen } = images;
  const scores = [...chosen];
  const right = scores.filter((_, image) => assigned[image] === labels[image]);
  const accepted = (values: readonly number[]) => {
    const sorted = Float64Array.from(values).sort();
    return thresholds.map((threshold) => sorted.length - firstFrom(sorted, threshold));
  };
  const known = { thresholds: [...thresholds], accepted: accepted(scores), correct: accepted(right) };
  if (!unknown) return known;
  const [own, strange] = [strangeness(images), strangeness(unknown.scores)];
  const by = (kind: keyof Strangeness) => detection(own[kind], strange[kind]);
  return {
    ...known,
    unknown: {
      folder: unknown.folder,
      images: strange.score.length,
      accepted: accepted(strange.score),
      auroc: areaUnderRoc(own.score, strange.score),
      by: { score: by('score'), margin: by('margin'), norm: by('norm') },
    },
  };
}

function strangeness({ chosen, next, norm }: Pick<Comparison, 'chosen' | 'next' | 'norm'>): Strangeness {
  return {
    score: [...chosen],
    margin: Array.from(chosen, (score, image) => score - next[image]),
    norm: Array.from(norm, (length) => (Number.isFinite(length) ? length : 0)),
  };
}

function detection(known: readonly number[], unknown: readonly number[]) {
  return {
    auroc: areaUnderRoc(known, unknown),
    fpr95: falsePositives(known, unknown, 0.95),
    aupr: averagePrecision(known, unknown),
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
