import * as tf from '../../src/tf/index.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { FeatureCorrelation } from '../../src/evaluation/correlation.js';
import { randomStream } from '../../src/util/random.js';

const [images, dim] = [40, 7];
const random = randomStream(3);
const residuals = Float32Array.from({ length: images * dim }, () => random.normal() / 3);

/** A correlation after batches of these sizes. */
function after(sizes: readonly number[]): FeatureCorrelation {
  const correlation = new FeatureCorrelation(dim);
  let start = 0;
  for (const size of sizes) {
    const rows = tf.tensor2d(residuals.subarray(start * dim, (start + size) * dim), [size, dim]);
    correlation.add(rows);
    rows.dispose();
    start += size;
  }
  return correlation;
}

describe('FeatureCorrelation', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('agrees with its definition in double precision', () => {
    const squares = { diagonal: 0, off: 0 };
    for (let i = 0; i < dim; i++) {
      for (let j = 0; j < dim; j++) {
        let sum = 0;
        for (let row = 0; row < images; row++) sum += residuals[row * dim + i] * residuals[row * dim + j];
        squares[i === j ? 'diagonal' : 'off'] += (sum / (images - 1)) ** 2;
      }
    }
    const { offDiagonalShare, selfCorrelation } = after([20, 20]).measure(images);
    expect(offDiagonalShare).toBeCloseTo(squares.off / (squares.off + squares.diagonal), 6);
    expect(selfCorrelation).toBeCloseTo(squares.off / (dim - 1), 6);
  });

  it('gives equal bits for any order of the batches', () => {
    const whole = after([10, 10, 10, 10]);
    const parts = [0, 10, 20, 30].map((start) => {
      const correlation = new FeatureCorrelation(dim);
      correlation.add(tf.tensor2d(residuals.subarray(start * dim, (start + 10) * dim), [10, dim]));
      return correlation;
    });
    const backwards = new Float64Array(whole.sums.length);
    for (const part of parts.reverse()) part.sums.forEach((sum, index) => (backwards[index] += sum));
    expect(backwards).toEqual(whole.sums);
  });

  it('is 0 for features without spread', () => {
    const still = new FeatureCorrelation(dim);
    still.add(tf.zeros([5, dim]));
    expect(still.measure(5)).toEqual({ offDiagonalShare: 0, selfCorrelation: 0 });
  });
});
