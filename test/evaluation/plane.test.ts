import { describe, expect, it } from 'vitest';
import { ClassPlane } from '../../src/evaluation/plane.js';
import { generateCentroids } from '../../src/pedcc/index.js';

const planeOf = (classes: number, dim: number) => {
  const { values } = generateCentroids({ classes, dim, seed: 4 });
  return { plane: new ClassPlane(values, dim), values };
};

describe('ClassPlane', () => {
  it.each([3, 5, 10])('puts the centroids of %i classes on a regular polygon', (classes) => {
    const { plane } = planeOf(classes, 16);
    const radius = Math.sqrt(2 / (classes - 1));
    plane.vectors.forEach(([x, y], label) => {
      const angle = (2 * Math.PI * label) / classes;
      expect(x).toBeCloseTo(radius * Math.cos(angle), 5);
      expect(y).toBeCloseTo(radius * Math.sin(angle), 5);
    });
  });

  it('projects directions of features, independent of their norm', () => {
    const { plane, values } = planeOf(3, 2);
    const features = values.subarray(0, 2).map((value) => 7 * value);
    expect(plane.project(features, 7)).toEqual([expect.closeTo(1, 5), expect.closeTo(0, 5)]);
    expect(plane.project(Float32Array.of(0, 0), 0)).toEqual([0, 0]);
  });

  it('has two axes for two classes', () => {
    const { plane } = planeOf(2, 8);
    expect(plane.vectors[0]).toEqual([expect.closeTo(1, 5), expect.closeTo(0, 5)]);
    expect(plane.vectors[1]).toEqual([expect.closeTo(-1, 5), expect.closeTo(0, 5)]);
    const spread = Array.from({ length: 8 }, (_, index) =>
      plane.project(
        Float32Array.from({ length: 8 }, (_, at) => Number(at === index)),
        1,
      ),
    );
    expect(spread.reduce((sum, [, y]) => sum + y * y, 0)).toBeCloseTo(1, 5);
  });

  it('samples at most 2,000 images of the first ten classes', () => {
    const labels = Int32Array.from({ length: 30_000 }, (_, image) => image % 12);
    const sample = ClassPlane.sample(labels, 12);
    expect(sample.size).toBeGreaterThan(1800);
    expect(sample.size).toBeLessThanOrEqual(2000);
    expect(new Set([...sample].map((image) => labels[image]))).toEqual(
      new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    );
    expect(ClassPlane.sample(labels.subarray(0, 50), 12).size).toBe(42);
  });
});
