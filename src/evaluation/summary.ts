import type { Comparison } from './comparison.js';
import { joinComparisons, unpackArrays, unpackComparison } from './observations.js';
import { beyondPlaces, placesOf } from './places.js';
import { measureRejection } from './rejection.js';
import { measureReliability } from './reliability.js';
import { surest, type Mistake } from './mistakes.js';
import type { Evaluation } from './schema.js';
import { histogram, mean } from './statistics.js';
import { addTotals, type EvaluationTotals } from './totals.js';

/** A rank's part of one evaluation: the numbers of its images, which the coordinator sorts by image. */
export interface EvaluationPart {
  totals: EvaluationTotals;
  /** Comparison of this rank's test images, in order: `packComparison`. */
  images: Uint8Array;
  /** x and y of this rank's images in the picture, then their labels and assigned classes: `packArrays`. */
  drawn: Uint8Array;
  /** Features of some of these images, where they are wanted: rows of `SamplePacker`. */
  sample?: Uint8Array;
  /** `chosen`, `next` and `norm` of this rank's images of unknown classes: `packArrays`. */
  unknown?: Uint8Array;
  /** The surest of this rank's mistakes. */
  mistakes?: Mistake[];
  /** Values that are equal on every rank. */
  shared: Pick<Evaluation, 'dataset' | 'dim' | 'epochs' | 'mirrored' | 'scale' | 'correlation'> & {
    classNames: readonly string[];
    vectors: Evaluation['plane']['vectors'];
    unknownFolder?: string;
  };
}

/** Columns of the images of unknown classes. */
export const unknownColumns = [Float32Array, Float32Array, Float32Array];

const mostConfusions = 50;
const angleBins = 90;
const normBins = 50;

/**
 * Makes the evaluation of all ranks' parts. All sums run over the images in the order of the test split, whoever has
 * computed them, so the result is the same for any number of ranks.
 */
export function summarise(parts: readonly EvaluationPart[]): Evaluation {
  const { shared } = parts[0];
  const { dataset, classNames, dim, epochs, mirrored, scale, correlation, unknownFolder: folder } = shared;
  const totals = addTotals(parts.map((part) => part.totals));
  const images = joinComparisons(parts.map((part) => unpackComparison(part.images)));
  const columns = parts.map((part) => unpackArrays(part.unknown ?? new Uint8Array(), unknownColumns));
  const [chosen, next, norm] = unknownColumns.map((_, column) =>
    Float32Array.from(columns.flatMap((arrays) => [...arrays[column]])),
  );
  const classes = classNames.length;
  const directed = [...images.labels.keys()].filter((image) => images.assigned[image] < classes);
  const norms = directed.map((image) => images.norm[image]);
  return {
    format: 1,
    dataset,
    classNames: [...classNames],
    dim,
    epochs,
    mirrored,
    scale,
    ...totals,
    accuracy: shareOf(totals.correct, totals.total),
    topK: topK(images, classes),
    undirected: totals.total - directed.length,
    meanCosine: totals.total > 0 ? totals.cosineSum / totals.total : null,
    classAngle: classAngles(images, directed, classes),
    confusions: confusions(images, classes),
    mistakes: surest(parts.flatMap(({ mistakes = [] }) => mistakes)),
    angles: { own: angles(directed, images.own), other: angles(directed, images.other) },
    norms: { mean: mean(norms), histogram: histogram(norms, 0, roundUp(norms), normBins) },
    correlation,
    reliability: measureReliability(images, directed, scale),
    rejection: measureRejection(
      images,
      folder === undefined ? undefined : { folder, scores: { chosen, next, norm } },
    ),
    plane: plane(parts),
  };
}

function shareOf(count: number, total: number): number | null {
  return total > 0 ? count / total : null;
}

function topK({ place }: Comparison, classes: number): Evaluation['topK'] {
  const correct = place.reduce((sum, at) => sum + (at < beyondPlaces ? 1 : 0), 0);
  return { k: placesOf(classes), correct, accuracy: shareOf(correct, place.length) };
}

function degrees(cosine: number): number {
  return (Math.acos(cosine) * 180) / Math.PI;
}

function angles(directed: readonly number[], cosines: Float32Array): Evaluation['angles']['own'] {
  const values = directed.map((image) => degrees(cosines[image]));
  return { mean: mean(values), histogram: histogram(values, 0, 180, angleBins) };
}

function classAngles({ labels, own }: Comparison, directed: readonly number[], classes: number) {
  const sums = new Float64Array(classes);
  const counts = new Int32Array(classes);
  for (const image of directed) {
    sums[labels[image]] += degrees(own[image]);
    counts[labels[image]]++;
  }
  return Array.from(sums, (sum, label) => (counts[label] > 0 ? sum / counts[label] : null));
}

function confusions({ labels, assigned }: Comparison, classes: number): Evaluation['confusions'] {
  const counts = new Map<number, number>();
  labels.forEach((label, image) => {
    if (assigned[image] === label) return;
    const pair = label * (classes + 1) + assigned[image];
    counts.set(pair, (counts.get(pair) ?? 0) + 1);
  });
  return [...counts]
    .sort(([pairA, a], [pairB, b]) => b - a || pairA - pairB)
    .slice(0, mostConfusions)
    .map(([pair, images]) => ({
      label: Math.floor(pair / (classes + 1)),
      assigned: pair % (classes + 1),
      images,
    }));
}

/** The largest of the values, rounded up to two significant digits; 1 where there is none. */
function roundUp(values: readonly number[]): number {
  const largest = values.reduce((most, value) => Math.max(most, value), 0);
  if (largest === 0) return 1;
  const step = 10 ** (Math.floor(Math.log10(largest)) - 1);
  return Number((Math.ceil(largest / step) * step).toPrecision(2));
}

function plane(parts: readonly EvaluationPart[]): Evaluation['plane'] {
  const drawn = parts.map((part) =>
    unpackArrays(part.drawn, [Float32Array, Float32Array, Int32Array, Int32Array]),
  );
  const [x, y, labels, assigned] = [0, 1, 2, 3].map((column) =>
    drawn.flatMap((arrays) => [...arrays[column]]),
  );
  const short = (value: number) => Number(value.toFixed(4));
  return { vectors: parts[0].shared.vectors, x: x.map(short), y: y.map(short), labels, assigned };
}
