import { describe, expect, it } from 'vitest';
import { ratesBetween, smooth, SmoothedLoss, suggestRate } from '../../src/training/rate-range.js';

describe('rates', () => {
  it('rise by one factor from the first to the last', () => {
    const rates = ratesBetween(1e-4, 1, 5);
    [1e-4, 1e-3, 1e-2, 1e-1, 1].forEach((rate, step) => expect(rates[step]).toBeCloseTo(rate, 12));
  });
});

describe('a smoothed loss', () => {
  it('begins at the first loss, follows the others, and diverges at four times its best', () => {
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

  it('has diverged where a loss is no number', () => {
    const smoothed = new SmoothedLoss();
    smoothed.add(1);
    smoothed.add(NaN);
    expect(smoothed.hasDiverged).toBe(true);
  });
});

describe('the suggested rate', () => {
  /** Flat up to 1e-2, falling from there to 1, steepest about 1e-1, then rising. */
  const lossOf = (rate: number) => 2 - Math.tanh(2 * Math.log10(rate / 0.1)) + Math.max(0, rate - 1);
  const search = (loss: (rate: number) => number) =>
    suggestRate(smooth(ratesBetween(1e-4, 100, 200).map((rate) => ({ rate, loss: loss(rate) }))));

  it('is where the loss falls fastest, before it is smallest', () => {
    const { steepest, smallest } = search(lossOf);
    expect(steepest).toBeGreaterThan(0.05);
    expect(steepest).toBeLessThan(0.4);
    expect(smallest).toBeGreaterThan(0.5);
    expect(smallest).toBeLessThan(2);
  });

  it('is none where the loss only rises', () => {
    expect(search((rate) => 1 + rate).steepest).toBeUndefined();
  });
});
