import { describe, expect, it } from 'vitest';
import { ratesBetween, smooth, SmoothedLoss, suggestRate } from '../../src/training/rate-range.js';

describe('ratesBetween', () => {
  it('rises by a constant factor from the first rate to the last', () => {
    const rates = ratesBetween(1e-4, 1, 5);
    [1e-4, 1e-3, 1e-2, 1e-1, 1].forEach((rate, step) => expect(rates[step]).toBeCloseTo(rate, 12));
  });
});

describe('SmoothedLoss', () => {
  it('starts at the first loss, averages the later ones, and has diverged above four times its best value', () => {
    const smoothed = new SmoothedLoss();
    smoothed.add(2);
    expect(smoothed.value).toBeCloseTo(2, 12);
    smoothed.add(1);
    expect(smoothed.value).toBeCloseTo((0.9 * 2 + 1) / 1.9, 12);
    for (let step = 0; step < 100; step++) smoothed.add(1);
    expect(smoothed.hasDiverged).toBe(false);
    smoothed.add(30);
    expect(smoothed.hasDiverged).toBe(false);
    smoothed.add(30);
    expect(smoothed.hasDiverged).toBe(true);
  });

  it('has diverged after a loss of NaN', () => {
    const smoothed = new SmoothedLoss();
    smoothed.add(1);
    smoothed.add(NaN);
    expect(smoothed.hasDiverged).toBe(true);
  });
});

describe('suggestRate', () => {
  /** A loss that is flat up to a rate of 1e-2, falls up to 1, fastest near 1e-1, and rises above 1. */
  const lossOf = (rate: number) => 2 - Math.tanh(2 * Math.log10(rate / 0.1)) + Math.max(0, rate - 1);
  const search = (loss: (rate: number) => number) =>
    suggestRate(smooth(ratesBetween(1e-4, 100, 200).map((rate) => ({ rate, loss: loss(rate) }))));

  it('gives the rate at which the loss falls fastest and the rate at which it is smallest', () => {
    const { steepest, smallest } = search(lossOf);
    expect(steepest).toBeGreaterThan(0.05);
    expect(steepest).toBeLessThan(0.4);
    expect(smallest).toBeGreaterThan(0.5);
    expect(smallest).toBeLessThan(2);
  });

  it('gives no steepest rate if the loss only rises', () => {
    expect(search((rate) => 1 + rate).steepest).toBeUndefined();
  });
});
