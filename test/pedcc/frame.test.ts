import { describe, expect, it } from 'vitest';
import { BinaryField } from '../../src/pedcc/binary-field.js';
import { Frame } from '../../src/pedcc/frame.js';
import { generateCentroids } from '../../src/pedcc/index.js';
import { measureCosines } from '../../src/pedcc/measure.js';
import { randomStream } from '../../src/util/random.js';

/** Absolute cosines of all pairs of vectors of a frame. */
function cosines(frame: Frame): Set<number> {
  const rows = Array.from({ length: frame.size }, (_, index) => {
    const row = new Float64Array(frame.dim);
    frame.write(index, row);
    return row;
  });
  const found = new Set<number>();
  for (let i = 0; i < rows.length; i++) {
    for (let j = 0; j < i; j++) {
      let inner = 0;
      for (let at = 0; at < frame.dim; at++) inner += rows[i][at] * rows[j][at];
      found.add(Math.round(Math.abs(inner) * 1e9) / 1e9);
    }
  }
  return found;
}

describe('BinaryField', () => {
  it.each([3, 5, 8])('of 2^%i elements has inverses, a distributive law and a balanced trace', (degree) => {
    const field = new BinaryField(degree);
    expect(new Set(field.power).size).toBe(field.order);
    const random = randomStream(degree);
    for (let trial = 0; trial < 200; trial++) {
      const [a, b, c] = [0, 1, 2].map(() => random.below(field.order + 1));
      expect(field.multiply(a, b ^ c)).toBe(field.multiply(a, b) ^ field.multiply(a, c));
      expect(field.trace[a ^ b]).toBe(field.trace[a] ^ field.trace[b]);
      expect(field.monomial(a, b, 3)).toBe(field.multiply(a, field.multiply(b, field.multiply(b, b))));
    }
    expect(field.trace.filter((value) => value === 1)).toHaveLength((field.order + 1) / 2);
  });
});

describe('Frame', () => {
  it('is mutually unbiased bases for d = 16 and 64: d (d/2 + 1) vectors of cosine 0 or 1/sqrt(d)', () => {
    const small = new Frame(16, 0);
    expect(small.size).toBe(16 * 9);
    expect(cosines(small)).toEqual(new Set([0, 0.25]));
    const larger = new Frame(64, 0);
    expect(larger.size).toBe(64 * 33);
    expect(cosines(larger)).toEqual(new Set([0, 0.125]));
  });

  it('is d (d + 1) vectors of cosine sqrt(2/d) for d = 32', () => {
    const frame = new Frame(32, 1);
    expect(frame.size).toBe(32 * 33);
    expect(cosines(frame)).toEqual(new Set([0, 0.25, Number((1 / Math.sqrt(32)).toFixed(9))]));
  });

  it.each([
    [256, 0, 33_024, 1 / 16],
    [256, 1, 4_194_560, 1 / 8],
    [512, 1, 262_656, 1 / 16],
    [128, 2, 2_097_280, 1 / 4],
  ])('in %i dimensions at level %i has %i vectors with cosines of at most %f', (dim, level, size, cosine) => {
    const frame = new Frame(dim, level);
    expect(frame.size).toBe(size);
    expect(frame.maxCosine).toBe(cosine);
    const random = randomStream(dim, level);
    const [a, b] = [new Float64Array(dim), new Float64Array(dim)];
    let largest = 0;
    for (let trial = 0; trial < 3000; trial++) {
      const i = random.below(size);
      frame.write(i, a);
      frame.write((i + 1 + random.below(size - 1)) % size, b);
      const inner = a.reduce((sum, value, at) => sum + value * b[at], 0);
      largest = Math.max(largest, Math.abs(inner));
    }
    expect(largest).toBeLessThanOrEqual(cosine + 1e-9);
    expect(largest).toBeGreaterThan(cosine / 4);
  });

  it('is found by the number of classes for dimensions that are powers of two', () => {
    expect(Frame.find(33_024, 256)?.maxCosine).toBe(1 / 16);
    expect(Frame.find(33_025, 256)?.maxCosine).toBe(1 / 8);
    expect(Frame.find(100_000, 512)?.maxCosine).toBe(1 / 16);
    expect(Frame.find(1000, 100)).toBeUndefined();
    expect(Frame.find(200, 16)).toBeUndefined();
  });
});

describe('generateCentroids for more than 2 d classes', () => {
  it('takes a frame if a packing would take too long or have larger cosines', () => {
    const many = generateCentroids({ classes: 2112, dim: 64, seed: 5 });
    expect(many).toMatchObject({ construction: 'frame', maxCosine: 0.125 });
    const { maxCosine, minCosine, complete } = measureCosines(many.values, 2112, 64);
    expect(complete).toBe(true);
    expect(maxCosine).toBeCloseTo(0.125, 6);
    expect(minCosine).toBeCloseTo(-0.125, 6);
    expect(generateCentroids({ classes: 2112, dim: 64, seed: 6 }).values).not.toEqual(many.values);
  });

  it('gives the vectors of a frame signs that centre them and keep every |cosine|', () => {
    const [classes, dim] = [1000, 64];
    const make = (centred: boolean) => generateCentroids({ classes, dim, seed: 5, centred }).values;
    const [signed, plain] = [make(true), make(false)];
    const meanLength = (values: Float32Array) =>
      Math.hypot(
        ...Array.from({ length: dim }, (_, at) => {
          let sum = 0;
          for (let row = 0; row < classes; row++) sum += values[row * dim + at];
          return sum / classes;
        }),
      );
    expect(meanLength(plain)).toBeGreaterThan(0.1);
    expect(meanLength(signed)).toBeLessThan(0.04);
    let flipped = 0;
    for (let row = 0; row < classes; row++) {
      const at = plain.findIndex((value, index) => index >= row * dim && value !== 0);
      const sign = signed[at] === plain[at] ? 1 : -1;
      if (sign < 0) flipped++;
      for (let at = row * dim; at < (row + 1) * dim; at++)
        expect(Math.abs(signed[at] - sign * plain[at])).toBe(0);
    }
    expect(Math.abs(flipped - classes / 2)).toBeLessThan(60);
  });

  it('takes a packing if its cosines are smaller', () => {
    const few = generateCentroids({ classes: 40, dim: 16, seed: 5 });
    expect(few.construction).toBe('packing');
    expect(few.maxCosine).toBeLessThan(0.2);
  });
});
