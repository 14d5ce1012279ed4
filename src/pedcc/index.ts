import { totalmem } from 'node:os';
import { UserError } from '../util/errors.js';
import { randomStream } from '../util/random.js';
import { Frame } from './frame.js';
import { orthoplexVertex } from './orthoplex.js';
import { packing } from './packing.js';
import { Rotation } from './rotation.js';
import { simplex } from './simplex.js';

export { fingerprint } from './fingerprint.js';

/** Rows between two calls of `onProgress`. */
const progressEvery = 100;

/** No packing is tried beside a frame where comparing all pairs once takes more multiply-adds than this. */
const packingBudget = 1e9;
/** Nor where the frame's largest cosine is within this factor of the bound: packings end higher. */
const nearBound = 1.4;

/** How centroids are made, by classes and dimensions (`generateCentroids`). */
export type Construction = 'simplex' | 'orthoplex' | 'frame' | 'packing' | 'given';

/** Options of `generateCentroids`. */
export interface CentroidOptions {
  /** Number of classes k. */
  classes: number;
  /** Feature dimension d. */
  dim: number;
  /** Seed of the rotation, or of the packing. */
  seed: number;
  /**
   * Whether each vector of a frame gets a seeded sign, so that their mean is near 0; every |cosine| stays. Default: yes.
   */
  centred?: boolean;
  /** Called from time to time with the share of the work that is done, from 0 to 1. */
  onProgress?(share: number): void;
}

/** Unit vectors of classes. */
export interface Centroids {
  /** Row-major [classes, dim], unit rows. */
  values: Float32Array;
  /** The largest cosine between two centroids; -1 for a single one. */
  maxCosine: number;
  /** How they were made. */
  construction: Construction;
}

/**
 * Predefined evenly-distributed class centroids (PEDCC, arXiv 1902.00220): unit vectors as far apart as possible.
 *
 * Up to d + 1 classes a regular simplex, every cosine -1/(k - 1); up to 2d an orthoplex, largest cosine 0; beyond
 * that a closed-form frame (where d is a power of two) or a numerical packing, whichever has the smaller largest
 * cosine; where a packing would take too long, the frame. All but the packing are turned by a seeded rotation. Equal
 * options give equal bits. A frame's vectors get random signs, since the mean of a frame as it is made has a length of
 * 1/sqrt(d), which k classes with random signs bring down to 1/sqrt(k).
 *
 * @throws UserError `CENTROIDS_INVALID` for numbers that are no whole numbers above zero
 * @example
 * import { generateCentroids } from 'pod-dist';
 *
 * const { values, maxCosine } = generateCentroids({ classes: 10, dim: 64, seed: 1 });
 * console.log(values.length, maxCosine); // 640 numbers; -1/9
 */
export function generateCentroids(options: CentroidOptions): Centroids {
  const { classes, dim, seed, centred = true, onProgress } = options;
  const { construction, frame, decided } = planCentroids(options);
  if (!decided) {
    const { values, maxCosine } = packing(classes, dim, seed, onProgress);
    if (!frame || maxCosine <= frame.maxCosine) return { values, maxCosine, construction: 'packing' };
  }
  const values = new Float32Array(classes * dim);
  const rotation = new Rotation(dim, seed);
  const write = vertexWriter(construction, classes, frame);
  const row = new Float64Array(dim);
  for (let index = 0; index < classes; index++) {
    write(index, row);
    if (frame && centred) flip(row, seed, index);
    rotation.apply(row);
    values.set(row, index * dim);
    if (index % progressEvery === progressEvery - 1) onProgress?.((index + 1) / classes);
  }
  return { values, maxCosine: knownCosine(construction, classes, frame), construction };
}

interface CentroidPlan {
  construction: Construction;
  /** The frame that has room for the classes, beyond 2 dim of them. */
  frame?: Frame;
  /** Whether the construction is settled; else a packing may turn out better than the frame. */
  decided: boolean;
}

/**
 * How centroids of these numbers are made, before anything is computed.
 *
 * @throws UserError `CENTROIDS_INVALID` for numbers that are no whole numbers above zero
 */
export function planCentroids({ classes, dim, seed }: CentroidOptions): CentroidPlan {
  checkWhole('classes', classes, 1);
  checkWhole('dim', dim, 1);
  checkWhole('seed', seed, 0);
  const most = Math.min(2 ** 33, totalmem() / 2);
  if (4 * classes * dim > most)
    throw new UserError(
      'CENTROIDS_INVALID',
      `${classes} centroids of ${dim} dimensions take ${Math.ceil((4 * classes * dim) / 1e9)} GB, ${Math.floor(most / 1e9)} GB at most: give fewer classes or dimensions`,
    );
  if (classes <= dim + 1) return { construction: 'simplex', decided: true };
  if (classes <= 2 * dim) return { construction: 'orthoplex', decided: true };
  const frame = Frame.find(classes, dim);
  const decided =
    frame !== undefined &&
    (classes * classes * dim > packingBudget || frame.maxCosine <= nearBound * cosineBound(classes, dim));
  return { construction: frame ? 'frame' : 'packing', frame, decided };
}

/** Gives row `index` of a frame its seeded sign. */
export function flip(row: Float64Array, seed: number, index: number): void {
  if (randomStream(seed, 0x519, index).bits() >= 0) return;
  for (let at = 0; at < row.length; at++) row[at] = -row[at];
}

function vertexWriter(construction: Construction, classes: number, frame: Frame | undefined) {
  if (frame) return (index: number, row: Float64Array) => frame.write(index, row);
  return construction === 'simplex' ? simplex(classes) : orthoplexVertex;
}

function knownCosine(construction: Construction, classes: number, frame: Frame | undefined): number {
  if (frame) return frame.maxCosine;
  if (construction === 'orthoplex') return 0;
  return classes > 1 ? -1 / (classes - 1) : -1;
}

/**
 * A lower bound of the largest cosine of `classes` unit vectors in R^dim: the simplex up to dim + 1, Rankin's bound up
 * to 2 dim, then Levenshtein's third bound (Levenshtein 1979), the root s of
 *
 *     classes = d (1 - s) (2 + (d + 1) s) / (1 - d s^2),
 *
 * which rises with the classes until classes = d (d + 3) / 2, and stays valid, though weak, beyond.
 */
export function cosineBound(classes: number, dim: number): number {
  if (classes === 1) return -1;
  if (classes <= dim + 1) return -1 / (classes - 1);
  if (classes <= 2 * dim) return 0;
  if (dim === 1) return 1;
  let low = 0;
  let high = (Math.sqrt(dim + 3) - 1) / (dim + 2);
  const most = (s: number) => (dim * (1 - s) * (2 + (dim + 1) * s)) / (1 - dim * s * s);
  if (classes >= most(high)) return high;
  for (let halving = 0; halving < 60; halving++) {
    const middle = (low + high) / 2;
    if (most(middle) < classes) low = middle;
    else high = middle;
  }
  return low;
}

/** Welch's lower bound of the largest absolute cosine of `classes` unit vectors in R^dim (Welch 1974). */
export function welchBound(classes: number, dim: number): number {
  return classes <= dim ? 0 : Math.sqrt((classes - dim) / (dim * (classes - 1)));
}

function checkWhole(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new UserError('CENTROIDS_INVALID', `${name} is ${value}: give a whole number of at least ${least}`);
}
