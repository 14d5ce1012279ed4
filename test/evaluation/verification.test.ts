import { describe, expect, it } from 'vitest';
import { nearestNeighbours } from '../../src/evaluation/neighbours.js';
import { findByName, readPairs } from '../../src/evaluation/pairs.js';
import { verify } from '../../src/evaluation/verification.js';
import { randomStream } from '../../src/util/random.js';

describe('readPairs', () => {
  it("reads LFW's list and its number of folds", () => {
    const { pairs, folds } = readPairs(
      '2\t1\nAda\t1\t4\nAda\t2\tGrace Hopper\t13\nX\t1\t2\nX\t1\tY\t1\n',
      'pairs.txt',
    );
    expect(folds).toBe(2);
    expect(pairs.slice(0, 2)).toEqual([
      { left: 'Ada/Ada_0001', right: 'Ada/Ada_0004', same: true },
      { left: 'Ada/Ada_0002', right: 'Grace Hopper/Grace Hopper_0013', same: false },
    ]);
  });

  it('reads a list of paths as ten folds', () => {
    const lines = Array.from({ length: 10 }, (_, index) => `a/${index}.png b/1.png ${index % 2}`);
    const { pairs, folds } = readPairs(lines.join('\n'), 'list');
    expect([folds, pairs.length, pairs[3]]).toEqual([
      10,
      10,
      { left: 'a/3.png', right: 'b/1.png', same: true },
    ]);
  });

  it.each([
    ['a b\nc', /^list:1: no pair: give/],
    ['a b 2', /^list:1: no pair/],
    ['', /^list: 0 pairs for 10 folds$/],
    ['a b 1', /^list: 1 pairs for 10 folds$/],
  ])('rejects %j', (text, message) => expect(() => readPairs(text, 'list')).toThrow(message));

  it('findByName finds images by name without ending', () => {
    const find = findByName(['Ada/Ada_0001.jpg', 'b/c.d.png']);
    expect(['Ada/Ada_0001', 'Ada/Ada_0001.jpg', './b/c.d', 'b/c'].map(find)).toEqual([0, 0, 1, undefined]);
  });
});

describe('verify', () => {
  const random = randomStream(3);
  const same = Array.from({ length: 400 }, (_, pair) => pair % 2 === 0);
  const scores = same.map((isSame) => Math.round(20 * (random.normal() + (isSame ? 1.5 : 0))) / 20);
  const result = verify(scores, same, 10);

  it('measures each fold with the best threshold of the other folds', () => {
    const thresholds = Array.from({ length: 241 }, (_, step) => -6 + 0.05 * step + 0.025);
    const rightAt = (threshold: number, pairs: number[]) =>
      pairs.filter((pair) => scores[pair] >= threshold === same[pair]).length;
    const all = scores.map((_, pair) => pair);
    const folds = Array.from({ length: 10 }, (_, fold) => {
      const own = all.filter((pair) => Math.floor(pair / 40) === fold);
      const others = all.filter((pair) => Math.floor(pair / 40) !== fold);
      const best = Math.max(...thresholds.map((threshold) => rightAt(threshold, others)));
      const threshold = thresholds.findLast((one) => rightAt(one, others) === best) ?? NaN;
      return rightAt(threshold, own) / 40;
    });
    expect(result.folds).toEqual(folds);
    const mean = folds.reduce((sum, value) => sum + value, 0) / 10;
    expect(result.accuracy).toBeCloseTo(mean, 12);
    const spread = Math.sqrt(folds.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 9);
    expect(result.accuracyError).toBeCloseTo(spread / Math.sqrt(10), 12);
    expect(result.best.accuracy).toBe(Math.max(...thresholds.map((one) => rightAt(one, all))) / 400);
  });

  it('gives the true accept rate at each false accept rate, and null at rates below one pair', () => {
    const shareOf = (threshold: number, wanted: boolean) =>
      scores.filter((score, pair) => same[pair] === wanted && score >= threshold).length / 200;
    for (const { far, tar } of result.tar) {
      if (far < 1 / 200) {
        expect(tar).toBeNull();
        continue;
      }
      const fine = [...new Set(scores)].filter((threshold) => shareOf(threshold, false) <= far);
      expect(tar).toBe(Math.max(0, ...fine.map((threshold) => shareOf(threshold, true))));
    }
    expect(result.tar.map(({ far }) => far)).toEqual([1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]);
  });

  it('gives a ROC curve from [0, 0] to [1, 1] and the equal error rate', () => {
    expect(result.roc[0]).toEqual([0, 0]);
    expect(result.roc.at(-1)).toEqual([1, 1]);
    // Two normal distributions 1.5 apart: Phi(-0.75) = 0.2266.
    expect(Math.abs((result.equalErrorRate ?? 0) - 0.2266)).toBeLessThan(0.06);
    expect(verify([3, 2, 1, 0], [true, true, false, false], 2)).toMatchObject({
      auroc: 1,
      equalErrorRate: 0,
      best: { threshold: 1.5, accuracy: 1 },
    });
  });
});

describe('nearestNeighbours', () => {
  it('gives the share of images whose nearest neighbours are mostly of their class', () => {
    const angles = [0, 1, 2, 90, 91, 45];
    const values = Float32Array.from(
      angles.flatMap((angle) => [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)]),
    );
    const features = { values, dim: 2, norms: new Float32Array(6).fill(1) };
    const classes = ['a', 'a', 'a', 'b', 'b', 'b'];
    // The nearest neighbour of the image at 45 degrees is the image at 2 degrees, of class a.
    expect(nearestNeighbours({ ...features, classes }, 1)).toBeCloseTo(5 / 6, 12);
    expect(nearestNeighbours({ ...features, classes: ['a', 'a', 'a', 'b', 'c', 'c'] }, 1)).toBeCloseTo(
      3 / 6,
      12,
    );
  });
});
