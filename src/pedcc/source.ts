import { createHash } from 'node:crypto';
import { flip, generateCentroids, planCentroids, type CentroidOptions, type Construction } from './index.js';
import type { Frame } from './frame.js';
import type { CentroidLayout } from './layout.js';
import { measureCosines } from './measure.js';
import { Rotation } from './rotation.js';

/** Bytes of centroids that are kept as one matrix, by default. */
export const defaultLimitBytes = 256e6;

/** Rows that are made at a time where all are needed. */
const blockRows = 1024;

/**
 * The centroids of a run: kept as one matrix where that is small enough, or cannot be avoided (a packing), else made
 * row by row when they are asked for. Either way a row has the same bits as in `generateCentroids`.
 *
 * With a layout there are as many as it says, and each class has the one that is its own.
 */
export class CentroidSource {
  readonly classes: number;
  readonly dim: number;
  readonly construction: Construction;
  /** The largest cosine between two centroids. */
  readonly maxCosine: number;
  /** Row-major [classes, dim], where they are kept. */
  private readonly matrix: Float32Array | undefined;
  private readonly frame: Frame | undefined;
  private readonly rotation: Rotation | undefined;
  /** Seed of the signs of a frame that is made row by row. */
  private readonly signSeed: number | undefined;
  /** The centroid of each class; undefined: they have the first ones in order. */
  private readonly places: readonly number[] | undefined;

  constructor(wanted: CentroidOptions, limitBytes = defaultLimitBytes, layout?: CentroidLayout) {
    const options = { ...wanted, classes: layout?.total ?? wanted.classes };
    const { classes, dim, seed, centred = true } = options;
    this.classes = layout?.rows.length ?? classes;
    this.dim = dim;
    if (layout?.rows.some((row, label) => row !== label)) this.places = layout.rows;
    if (layout?.given) {
      this.matrix = layout.given;
      this.construction = 'given';
      this.maxCosine = measureCosines(layout.given, classes, dim).maxCosine;
      return;
    }
    const plan = planCentroids(options);
    if (plan.frame && plan.decided && 4 * classes * dim > limitBytes) {
      this.frame = plan.frame;
      this.rotation = new Rotation(dim, seed);
      if (centred) this.signSeed = seed;
      this.construction = 'frame';
      this.maxCosine = plan.frame.maxCosine;
      return;
    }
    const { values, construction, maxCosine } = generateCentroids(options);
    this.matrix = values;
    this.construction = construction;
    this.maxCosine = maxCosine;
  }

  /** Whether the whole matrix is kept. */
  get stored(): boolean {
    return this.matrix !== undefined;
  }

  /** The centroid of each label, [labels, dim], row-major. */
  rows(labels: ArrayLike<number>): Float32Array {
    const { dim } = this;
    const rows = new Float32Array(labels.length * dim);
    const scratch = new Float64Array(dim);
    for (let row = 0; row < labels.length; row++) this.write(labels[row], rows, row * dim, scratch);
    return rows;
  }

  /** Centroids of the classes `start` to `end` - 1, [end - start, dim]; a view where they are kept in this order. */
  block(start: number, end: number): Float32Array {
    const { dim, matrix, places } = this;
    if (matrix && !places) return matrix.subarray(start * dim, end * dim);
    return this.rows(Int32Array.from({ length: end - start }, (_, row) => start + row));
  }

  /** Whole orthonormal bases among the centroids: the first `wholeBases * dim` of them. */
  get wholeBases(): number {
    return this.construction === 'frame' && !this.places ? Math.floor(this.classes / this.dim) : 0;
  }

  /** SHA-256, in hex, of all rows' little-endian float32 bytes: what ranks compare before they start. */
  sha256(): string {
    const hash = createHash('sha256');
    for (let start = 0; start < this.classes; start += blockRows) {
      const { buffer, byteOffset, byteLength } = this.block(start, Math.min(start + blockRows, this.classes));
      hash.update(new Uint8Array(buffer, byteOffset, byteLength));
    }
    return hash.digest('hex');
  }

  private write(label: number, rows: Float32Array, offset: number, scratch: Float64Array): void {
    const { dim, matrix } = this;
    const place = this.places?.[label] ?? label;
    if (matrix) {
      rows.set(matrix.subarray(place * dim, (place + 1) * dim), offset);
      return;
    }
    this.frame?.write(place, scratch);
    if (this.signSeed !== undefined) flip(scratch, this.signSeed, place);
    this.rotation?.apply(scratch);
    rows.set(scratch, offset);
  }
}
