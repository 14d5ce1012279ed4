import { permutation, stream } from '../random.js';

const rounds = 3;

/**
 * A seeded orthogonal map of R^d, applied in place, in O(d log d) time and O(d) memory.
 *
 * Each round permutes the coordinates, flips signs at random, and applies the normalised Walsh-Hadamard transform to
 * the first 2^p coordinates and then to the last 2^p, with 2^p the largest power of two not above d; the blocks
 * overlap, so every coordinate is reached. Permutations, sign flips and normalised Hadamard matrices are orthogonal,
 * and so is their product: angles stay as they are. Three rounds spread any vector over all coordinates much as a
 * random rotation does (the structured spinners of arXiv 1610.06209), without a d x d matrix.
 */
export class Rotation {
  private readonly orders: Int32Array[] = [];
  private readonly signs: Float64Array[] = [];
  private readonly scratch: Float64Array;
  private readonly block: number;

  constructor(
    private readonly dim: number,
    seed: number,
  ) {
    this.block = 2 ** Math.floor(Math.log2(dim));
    this.scratch = new Float64Array(dim);
    const scale = 1 / Math.sqrt(this.block);
    for (let round = 0; round < rounds; round++) {
      const random = stream(seed, 0x707, round);
      this.orders.push(permutation(dim, random));
      this.signs.push(Float64Array.from({ length: dim }, () => (random.bits() < 0 ? -1 : 1)));
    }
    this.scale = scale;
  }

  private readonly scale: number;

  /** Rotates `vector` ([d]) in place. */
  apply(vector: Float64Array): void {
    const { dim, block, scratch } = this;
    for (let round = 0; round < rounds; round++) {
      const order = this.orders[round];
      const signs = this.signs[round];
      for (let index = 0; index < dim; index++) scratch[index] = vector[order[index]] * signs[index];
      this.hadamard(scratch, 0);
      if (block < dim) this.hadamard(scratch, dim - block);
      vector.set(scratch);
    }
  }

  private hadamard(values: Float64Array, start: number): void {
    const { block, scale } = this;
    const end = start + block;
    for (let half = 1; half < block; half *= 2) {
      for (let left = start; left < end; left += 2 * half) {
        for (let index = left; index < left + half; index++) {
          const a = values[index];
          const b = values[index + half];
          values[index] = a + b;
          values[index + half] = a - b;
        }
      }
    }
    for (let index = start; index < end; index++) values[index] *= scale;
  }
}
