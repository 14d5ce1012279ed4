import { describe, expect, it } from 'vitest';
import { permutation, randomStream } from '../../src/util/random.js';

const count = 40_000;

function draw<T>(length: number, next: () => T): T[] {
  return Array.from({ length }, next);
}

/** Chi-squared statistic of values that should be uniform over 0..outcomes - 1. */
function chiSquared(values: readonly number[], outcomes: number): number {
  const counts = new Array<number>(outcomes).fill(0);
  for (const value of values) counts[value]++;
  const expected = values.length / outcomes;
  return counts.reduce((sum, found) => sum + (found - expected) ** 2 / expected, 0);
}

/** Value that chi-squared with `freedom` degrees of freedom exceeds about once in 30,000 draws (four deviations). */
const limit = (freedom: number) => freedom + 4 * Math.sqrt(2 * freedom);

describe('randomStream', () => {
  it('gives equal numbers for equal names', () => {
    const [first, second] = [randomStream(7, 1, 2), randomStream(7, 1, 2)];
    for (const method of ['bits', 'uniform', 'normal'] as const)
      expect(draw(50, () => first[method]())).toEqual(draw(50, () => second[method]()));
  });

  it.each([
    [[7]],
    [[7, 1]],
    [[7, 2, 1]],
    [[7, 1, 2, 0]],
    [[7, 1, 3]],
    [[8, 1, 2]],
    [[7, 1, 2 + 2 ** 32]],
    [[7, 1 + 2 ** 52, 2]],
  ])('gives other numbers for the name %j', ([seed, ...path]) => {
    const other = randomStream(seed, ...path);
    const own = randomStream(7, 1, 2);
    expect(draw(4, () => other.bits())).not.toEqual(draw(4, () => own.bits()));
  });

  it('gives these fixed numbers, which must never change', () => {
    const random = randomStream(1, 2, 3);
    expect(draw(3, () => random.bits())).toEqual([439415607, 622228395, 995318501]);
    expect(draw(3, () => random.below(1000))).toEqual([389, 537, 142]);
  });

  it('gives uniform first numbers over neighbouring streams', () => {
    const firsts = draw(
      count,
      (() => {
        let index = 0;
        return () => randomStream(1, 0xa6, 3, index++).below(64);
      })(),
    );
    expect(chiSquared(firsts, 64)).toBeLessThan(limit(63));
  });

  it.each([1, 2, 3, 10, 1000])('below(%i) is uniform over 0..limit - 1', (outcomes) => {
    const random = randomStream(3, outcomes);
    const values = draw(count, () => random.below(outcomes));
    expect(Math.min(...values)).toBe(0);
    expect(Math.max(...values)).toBe(outcomes - 1);
    expect(chiSquared(values, outcomes)).toBeLessThanOrEqual(limit(outcomes - 1));
  });

  it('bits() gives 32 fair bits', () => {
    const random = randomStream(4);
    const values = draw(count, () => random.bits());
    for (const value of values.slice(0, 1000)) expect(value).toBe(value | 0);
    for (let bit = 0; bit < 32; bit++) {
      const ones = values.filter((value) => (value >>> bit) & 1).length;
      expect(Math.abs(ones - count / 2)).toBeLessThan(2.2 * Math.sqrt(count));
    }
  });

  it('uniform() lies in [0, 1) with mean 1/2 and variance 1/12', () => {
    const random = randomStream(5);
    const values = draw(count, () => random.uniform());
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value, 0) / count;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
    expect(mean).toBeCloseTo(0.5, 2);
    expect(variance).toBeCloseTo(1 / 12, 2);
  });

  it('normal() has the moments of the standard normal distribution, and uncorrelated neighbours', () => {
    const random = randomStream(6);
    const values = draw(count, () => random.normal());
    const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / count;
    expect(moment(1)).toBeCloseTo(0, 1);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.03);
    expect(Math.abs(moment(3))).toBeLessThan(0.08);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.2);
    const pairs = values.slice(1).reduce((sum, value, index) => sum + value * values[index], 0) / count;
    expect(Math.abs(pairs)).toBeLessThan(0.02);
  });
});

describe('permutation', () => {
  it.each([0, 1, 2, 1797])('of length %i contains every index once', (length) => {
    const order = permutation(length, randomStream(1, length));
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, index) => index));
  });

  it('gives every order of four equally often', () => {
    const random = randomStream(9);
    const orders = new Map<string, number>();
    const codes = draw(24_000, () => {
      const key = permutation(4, random).join();
      if (!orders.has(key)) orders.set(key, orders.size);
      return orders.get(key) as number;
    });
    expect(orders.size).toBe(24);
    expect(chiSquared(codes, 24)).toBeLessThan(limit(23));
  });
});
