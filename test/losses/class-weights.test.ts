import { describe, expect, it } from 'vitest';
import '../../src/tf/index.js';
import { createClassWeights } from '../../src/losses/class-weights.js';

const size = { classes: 3, dim: 4, seed: 1 };

describe('class weights', () => {
  it.each([false, true])('are made any number of times in a process, with a bias: %s', (bias) => {
    const made = [1, 2, 3].map(() => createClassWeights({ classWeights: { bias } }, size));
    const [first, second] = made.map((weights) => [...(weights?.kernel.dataSync() ?? [])]);
    expect(second).toEqual(first);
    expect(new Set(made.map((weights) => weights?.kernel.name)).size).toBe(3);
  });
});
