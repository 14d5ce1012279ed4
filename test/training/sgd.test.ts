import { describe, expect, it } from 'vitest';
import { Sgd } from '../../src/training/sgd.js';

function run(nesterov: boolean): { weights: number[]; velocity: number[] } {
  const optimizer = new Sgd(2, { name: 'sgd', momentum: 0.9, nesterov, weightDecay: 0.01 });
  const weights = Float32Array.of(1, -2);
  for (const gradient of [0.5, -0.25, 0.125])
    optimizer.update(weights, Float32Array.of(gradient, 2 * gradient), 0.1);
  return { weights: [...weights], velocity: [...optimizer.velocity] };
}

/** The same recurrences in double precision, one weight at a time. */
function reference(weight: number, scale: number, nesterov: boolean): { weight: number; velocity: number } {
  let w = weight;
  let v = 0;
  for (const g of [0.5, -0.25, 0.125]) {
    const decayed = g * scale + 0.01 * w;
    v = 0.9 * v + decayed;
    w -= 0.1 * (nesterov ? decayed + 0.9 * v : v);
  }
  return { weight: w, velocity: v };
}

describe.each([false, true])('Sgd, nesterov %s', (nesterov) => {
  it('follows the recurrences over three steps', () => {
    const { weights, velocity } = run(nesterov);
    [
      [1, 1],
      [-2, 2],
    ].forEach(([start, scale], index) => {
      const expected = reference(start, scale, nesterov);
      expect(weights[index]).toBeCloseTo(expected.weight, 6);
      expect(velocity[index]).toBeCloseTo(expected.velocity, 6);
    });
  });
});
