import { permutation, randomStream } from '../util/random.js';

const rounds = 3;
const largestBlock = 256;

/**
 * A seeded orthogonal map of R^d, applied in place, in O(d) time and memory.
 *
 * Each round permutes the coordinates, flips signs at random, and applies the normalised Walsh-Hadamard transform to
 * blocks of 2^p coordinates, at most 256, the last one overlapping its neighbour where 2^p does not divide d.
 * Permutations, sign flips and normalised Hadamard matrices are orthogonal, and so is their product: angles stay as
 * they are. A coordinate reaches 256 others in the first round and 65,536 in the second; three rounds spread any
 * vector over all coordinates much as a random rotation does (the structured spinners of arXiv 1610.06209), without a
 * d x d matrix.
 */
export class Rotation {
  private readonly orders: Int32Array[] = [];
  /** Signs, times the normalisation of the block that takes the coordinate first. */
  private readonly factors: Float64Array[] = [];
  private readonly scratch: Float64Array;
  private readonly block: number;
  private readonly scale: number;

  constructor(
    private readonly dim: number,
    seed: number,
  ) {
    this.block = Math.min(largestBlock, 2 ** Math.floor(Math.log2(dim)));
    this.scale = 1 / Math.sqrt(this.block);
    this.scratch = new Float64Array(dim);
    for (let round = 0; round < rounds; round++) {
      const random = randomStream(seed, 0x707, round);
      this.orders.push(permutation(dim, random));
      const whole = dim - (dim % this.block);
      const signs = Float64Array.from({ length: dim }, () => (random.bits() < 0 ? -1 : 1));
      this.factors.push(signs.map((sign, index) => (index < whole ? sign * this.scale : sign)));
    }
  }

  /** Rotates `vector` ([d]) in place. */
  apply(vector: Float64Array): void {
    const { dim, block, scale, scratch } = this;
    const whole = dim - (dim % block);
    for (let round = 0; round < rounds; round++) {
      const order = this.orders[round];
      const factors = this.factors[round];
      for (let index = 0; index < dim; index++) scratch[index] = vector[order[index]] * factors[index];
      for (let start = 0; start < whole; start += block) hadamard(scratch, start, block);
      if (whole < dim) {
        for (let index = dim - block; index < dim; index++) scratch[index] *= scale;
        hadamard(scratch, dim - block, block);
      }
      vector.set(scratch);
    }
  }
}

/** The Walsh-Hadamard transform of `count` values from `start`, not normalised: two stages a pass over the values. */
function hadamard(values: Float64Array, start: number, count: number): void {
  const end = start + count;
  let half = 1;
  if (Math.log2(count) % 2 === 1) {
    for (let at = start; at < end; at += 2) {
      const a = values[at];
      const b = values[at + 1];
      values[at] = a + b;
      values[at + 1] = a - b;
    }
    half = 2;
  }
  for (; half < count; half *= 4) {
    for (let left = start; left < end; left += 4 * half) {
      for (let at = left; at < left + half; at++) {
        const a = values[at] + values[at + half];
        const b = values[at] - values[at + half];
        const c = values[at + 2 * half] + values[at + 3 * half];
        const d = values[at + 2 * half] - values[at + 3 * half];
        values[at] = a + c;
        values[at + half] = b + d;
        values[at + 2 * half] = a - c;
        values[at + 3 * half] = b - d;
      }
    }
  }
}
