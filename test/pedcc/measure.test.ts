import { describe, expect, it } from 'vitest';
import { measureCosines } from '../../src/pedcc/measure.js';
import { generateCentroids } from '../../src/pedcc/index.js';
import { randomStream } from '../../src/util/random.js';

function unitRows(classes: number, dim: number): Float32Array {
  const random = randomStream(1, classes);
  const values = Float32Array.from({ length: classes * dim }, () => random.normal());
  for (let row = 0; row < classes; row++) {
    const part = values.subarray(row * dim, (row + 1) * dim);
    const length = Math.sqrt(part.reduce((sum, value) => sum + value * value, 0));
    part.forEach((value, index) => (part[index] = value / length));
  }
  return values;
}

describe('measureCosines', () => {
  it.each([1, 3, 4, 10])('finds the largest and smallest cosine of all pairs in %i dimensions', (dim) => {
    const classes = 30;
    const values = unitRows(classes, dim);
    const cosines: number[] = [];
    for (let i = 0; i < classes; i++) {
      for (let j = 0; j < i; j++) {
        let cosine = 0;
        for (let c = 0; c < dim; c++) cosine += values[i * dim + c] * values[j * dim + c];
        cosines.push(cosine);
      }
    }
    const measured = measureCosines(values, classes, dim);
    expect(measured).toMatchObject({ pairs: cosines.length, complete: true });
    expect(measured.maxCosine).toBeCloseTo(Math.max(...cosines), 12);
    expect(measured.minCosine).toBeCloseTo(Math.min(...cosines), 12);
  });

  it('measures no pairs for one row', () => {
    expect(measureCosines(Float32Array.of(1, 0), 1, 2)).toEqual({
      maxCosine: -1,
      minCosine: 1,
      pairs: 0,
      complete: true,
    });
  });

  it('samples pairs of different rows if there are too many', () => {
    const [classes, dim] = [300, 300];
    const values = new Float32Array(classes * dim);
    for (let row = 0; row < classes; row++) values[row * dim + row] = 1;
    const { maxCosine, minCosine, pairs, complete } = measureCosines(values, classes, dim, 3e6);
    expect(complete).toBe(false);
    expect(pairs).toBe(10_000);
    expect([maxCosine, minCosine]).toEqual([0, 0]);
  });

  it('finds a single pair of equal rows', () => {
    const { values } = generateCentroids({ classes: 10, dim: 16, seed: 1 });
    values.set(values.slice(0, 16), 9 * 16);
    expect(measureCosines(values, 10, 16).maxCosine).toBeCloseTo(1, 6);
  });
});
