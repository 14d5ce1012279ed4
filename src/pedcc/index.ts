import { UserError } from '../errors.js';
import { orthoplexVertex } from './orthoplex.js';
import { packing } from './packing.js';
import { Rotation } from './rotation.js';
import { simplex } from './simplex.js';

export { fingerprint } from './fingerprint.js';

/** Rows between two calls of `onProgress`. */
const progressEvery = 100;

export type Construction = 'simplex' | 'orthoplex' | 'packing';

export interface CentroidOptions {
  /** Number of classes k. */
  classes: number;
  /** Feature dimension d. */
  dim: number;
  seed: number;
  /** Told what share of the work is done, from 0 to 1, every now and then. */
  onProgress?(share: number): void;
}

export interface Centroids {
  /** Row-major [classes, dim], unit rows. */
  values: Float32Array;
  /** The largest cosine between two centroids; -1 for a single one. */
  maxCosine: number;
  construction: Construction;
}

/**
 * Predefined evenly-distributed class centroids (PEDCC, arXiv 1902.00220): unit vectors as far apart as possible.
 *
 * Up to d + 1 classes a regular simplex, every cosine -1/(k - 1); up to 2d an orthoplex, largest cosine 0; beyond
 * that a numerical packing. Simplex and orthoplex are turned by a seeded rotation. Equal options give equal bits.
 *
 * @throws UserError `CENTROIDS_INVALID` for numbers that are no whole numbers above zero
 */
export function generateCentroids({ classes, dim, seed, onProgress }: CentroidOptions): Centroids {
  checkWhole('classes', classes, 1);
  checkWhole('dim', dim, 1);
  checkWhole('seed', seed, 0);
  const construction = constructionOf(classes, dim);
  if (construction === 'packing') {
    const { values, maxCosine } = packing(classes, dim, seed, onProgress);
    return { values, maxCosine, construction };
  }
  const values = new Float32Array(classes * dim);
  const rotation = new Rotation(dim, seed);
  const vertex = construction === 'simplex' ? simplex(classes) : orthoplexVertex;
  const row = new Float64Array(dim);
  for (let index = 0; index < classes; index++) {
    vertex(index, row);
    rotation.apply(row);
    values.set(row, index * dim);
    if (index % progressEvery === progressEvery - 1) onProgress?.((index + 1) / classes);
  }
  const maxCosine = construction === 'orthoplex' ? 0 : classes > 1 ? -1 / (classes - 1) : -1;
  return { values, maxCosine, construction };
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

function constructionOf(classes: number, dim: number): Construction {
  if (classes <= dim + 1) return 'simplex';
  return classes <= 2 * dim ? 'orthoplex' : 'packing';
}

function checkWhole(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new UserError('CENTROIDS_INVALID', `${name} is ${value}: give a whole number of at least ${least}`);
}
