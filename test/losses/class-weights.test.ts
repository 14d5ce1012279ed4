import { describe, expect, it } from 'vitest';
import '../../src/tf/index.js';
import { createClassWeights } from '../../src/losses/class-weights.js';

const size = { classes: 3, dim: 4, seed: 1 };

describe('createClassWeights', () => {
  it.each([false, true])(
    'gives equal values and new names at every call in a process, with bias %s',
    (bias) => {
      const made = [1, 2, 3].map(() => createClassWeights({ classWeights: { bias } }, size));
      const [first, second] = made.map((weights) => [...(weights?.kernel.dataSync() ?? [])]);
      expect(second).toEqual(first);
      expect(new Set(made.map((weights) => weights?.kernel.name)).size).toBe(3);
    },
  );

  it("draws kernel and bias uniformly from +-1/sqrt(d) with init 'pytorch'", () => {
    const options = { classes: 400, dim: 16, seed: 2, init: 'pytorch' } as const;
    const weights = createClassWeights({ classWeights: { bias: true } }, options);
    for (const variable of [weights?.kernel, weights?.bias]) {
      const values = [...(variable?.dataSync() ?? [])];
      const most = Math.max(...values.map(Math.abs));
      expect(most).toBeLessThanOrEqual(1 / 4);
      expect(most).toBeGreaterThan(0.245);
      expect(Math.abs(values.reduce((sum, value) => sum + value, 0) / values.length)).toBeLessThan(0.03);
    }
  });
});
