import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Budget, mapAtMost } from '../../src/data/budget.js';

describe('Budget', () => {
  it('never exceeds its limit, except for one heavy piece alone, and runs pieces in order', async () => {
    const budget = new Budget(10);
    const begun: number[] = [];
    let held = 0;
    const weights = [4, 4, 4, 25, 1, 9];
    await Promise.all(
      weights.map((weight, index) =>
        budget.run(weight, async () => {
          held += weight;
          begun.push(index);
          expect(held <= 10 || held === weight).toBe(true);
          await delay(5);
          held -= weight;
        }),
      ),
    );
    expect(begun).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('continues after work that fails', async () => {
    const budget = new Budget(1);
    await expect(budget.run(1, () => Promise.reject(new Error('lost')))).rejects.toThrow('lost');
    expect(await budget.run(1, () => Promise.resolve(7))).toBe(7);
  });
});

it('mapAtMost maps in order, with a limited number of calls at a time', async () => {
  let running = 0;
  let most = 0;
  const results = await mapAtMost(3, [5, 1, 4, 2, 3], async (value) => {
    most = Math.max(most, ++running);
    await delay(value);
    running--;
    return 10 * value;
  });
  expect(results).toEqual([50, 10, 40, 20, 30]);
  expect(most).toBe(3);
});
