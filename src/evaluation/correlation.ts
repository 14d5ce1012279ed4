import * as tf from '../tf/index.js';

/** Entries are rounded to multiples of 2^-30: double precision adds up those of two million images without an error. */
const steps = 2 ** 30;

/**
 * The correlation C = sum u u^T / (n - 1) of the residuals u = z/|z| - W_y of n images, as the self-correlation loss
 * has it (arXiv 2111.15449, equation 6).
 *
 * Each batch's Gram matrix is rounded to a fixed step, so its sum over batches and over ranks is exact in any order,
 * and the result does not depend on the number of workers. A rank sums d (d + 1) / 2 numbers of 8 bytes.
 */
export class FeatureCorrelation {
  /** Most dimensions for which the matrix is formed. */
  static readonly mostDimensions = 2048;

  /** The upper triangle of sum u u^T, row by row: to be summed over the ranks before `measure`. */
  readonly sums: Float64Array;

  constructor(private readonly dim: number) {
    this.sums = new Float64Array((dim * (dim + 1)) / 2);
  }

  /** Adds a batch's residuals, [b, d]. */
  add(residuals: tf.Tensor2D): void {
    const { dim, sums } = this;
    const gram = tf.tidy(() => tf.matMul(residuals, residuals, true, false).dataSync<'float32'>());
    let next = 0;
    for (let row = 0; row < dim; row++) {
      for (let column = row; column < dim; column++) {
        sums[next++] += Math.round(gram[row * dim + column] * steps) / steps;
      }
    }
  }

  /**
   * Of the correlation of `images` images: the sum of squares off its diagonal over the sum of all its squares, and SC,
   * the former divided by d - 1.
   */
  measure(images: number): { offDiagonalShare: number; selfCorrelation: number } {
    const { dim, sums } = this;
    const scale = 1 / Math.max(images - 1, 1);
    let diagonal = 0;
    let offDiagonal = 0;
    let next = 0;
    for (let row = 0; row < dim; row++) {
      diagonal += (sums[next++] * scale) ** 2;
      for (let column = row + 1; column < dim; column++) offDiagonal += 2 * (sums[next++] * scale) ** 2;
    }
    const whole = diagonal + offDiagonal;
    return {
      offDiagonalShare: whole > 0 ? offDiagonal / whole : 0,
      selfCorrelation: offDiagonal / Math.max(dim - 1, 1),
    };
  }
}
