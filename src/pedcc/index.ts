import { UserError } from '../errors.js';
import { orthoplexVertex } from './orthoplex.js';
import { packing } from './packing.js';
import { Rotation } from './rotation.js';
import { simplexVertex } from './simplex.js';

export { fingerprint } from './fingerprint.js';

export type Construction = 'simplex' | 'orthoplex' | 'packing';

export interface CentroidOptions {
  /** Number of classes k. */
  classes: number;
  /** Feature dimension d. */
  dim: number;
  seed: number;
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
export function generateCentroids({ classes, dim, seed }: CentroidOptions): Centroids {
  checkWhole('classes', classes, 1);
  checkWhole('dim', dim, 1);
  checkWhole('seed', seed, 0);
  const construction = constructionOf(classes, dim);
  if (construction === 'packing') {
    const { values, maxCosine } = packing(classes, dim, seed);
    return { values: Float32Array.from(values), maxCosine, construction };
  }
  const values = new Float32Array(classes * dim);
  const rotation = new Rotation(dim, seed);
  const row = new Float64Array(dim);
  for (let index = 0; index < classes; index++) {
    if (construction === 'simplex') simplexVertex(index, classes, row);
    else orthoplexVertex(index, row);
    rotation.apply(row);
    values.set(row, index * dim);
  }
  const maxCosine = construction === 'orthoplex' ? 0 : classes > 1 ? -1 / (classes - 1) : -1;
  return { values, maxCosine, construction };
}

/** The smallest largest cosine that could exist: simplex, Rankin's and Welch's bounds. */
export function cosineBound(classes: number, dim: number): number {
  if (classes === 1) return -1;
  if (classes <= dim + 1) return -1 / (classes - 1);
  return classes <= 2 * dim ? 0 : welchBound(classes, dim);
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
