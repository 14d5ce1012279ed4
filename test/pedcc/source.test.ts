import { describe, expect, it } from 'vitest';
import * as tf from '../../src/tf/index.js';
import { normSum } from '../../src/losses/index.js';
import { fingerprint, generateCentroids } from '../../src/pedcc/index.js';
import { CentroidSource } from '../../src/pedcc/source.js';

describe('CentroidSource', () => {
  const options = { classes: 5000, dim: 256, seed: 3 };
  const whole = generateCentroids(options);
  const made = new CentroidSource(options, 1e6);
  const kept = new CentroidSource(options);

  it('generates rows on demand above its limit, with the bits of the whole matrix', () => {
    expect([made.stored, kept.stored]).toEqual([false, true]);
    expect(made.maxCosine).toBe(1 / 16);
    const labels = [4999, 0, 257, 257, 1024];
    const expected = labels.flatMap((label) => [...whole.values.subarray(label * 256, (label + 1) * 256)]);
    for (const source of [made, kept]) {
      expect([...source.rows(labels)]).toEqual(expected);
      expect(source.block(1000, 1100)).toEqual(whole.values.subarray(1000 * 256, 1100 * 256));
      expect(source.sha256()).toBe(fingerprint(whole.values));
    }
  });

  it('needs only the last, incomplete basis for the norm of logits', async () => {
    await tf.setBackend('cpu');
    expect([made.wholeBases, kept.wholeBases]).toEqual([19, 19]);
    const rest = made.block(made.wholeBases * 256, 5000);
    expect(rest.length).toBe((5000 - 19 * 256) * 256);
    tf.tidy(() => {
      const features = tf.randomNormal<tf.Rank.R2>([3, 256], 0, 1, 'float32', 4);
      const all = normSum(features, tf.tensor2d(whole.values, [5000, 256])).dataSync()[0];
      const part = normSum(features, tf.tensor2d(rest, [136, 256]), made.wholeBases).dataSync()[0];
      expect(part / all).toBeCloseTo(1, 5);
    });
  });

  it('stores packings, which have no closed form, whatever their size', () => {
    const packed = new CentroidSource({ classes: 40, dim: 12, seed: 1 }, 1);
    expect(packed.stored).toBe(true);
    expect(packed.wholeBases).toBe(0);
  });
});
