import { describe, expect, it } from 'vitest';
import { FrozenParts } from '../../src/parallel/frozen-parts.js';

const sizes = [3, 2, 4, 1];
const slots = sizes.map((size, index) => ({
  name: `parameter ${index}`,
  shape: [size],
  offset: sizes.slice(0, index).reduce((sum, one) => sum + one, 0),
  size,
}));
const groups = [true, false, true, true].map((frozen) => ({ frozen, factor: 1 }));
const buckets = [
  { start: 0, end: 4 },
  { start: 4, end: 7 },
  { start: 7, end: 10 },
];

describe('FrozenParts', () => {
  const frozen = new FrozenParts({ slots, groups }, buckets);

  it('within gives the frozen parts of a range, cut at its ends', () => {
    expect(frozen.within({ start: 1, end: 6 })).toEqual([
      { start: 1, end: 3 },
      { start: 5, end: 6 },
    ]);
    expect(frozen.within({ start: 3, end: 5 })).toEqual([]);
  });

  it('hasAllOf tells which buckets are frozen as a whole', () => {
    expect(buckets.map((_, index) => frozen.hasAllOf(index))).toEqual([false, false, true]);
  });

  it('clear sets only gradients of frozen parameters to 0', () => {
    const gradients = new Float32Array(10).fill(1);
    for (const index of buckets.keys()) frozen.clear(gradients, index);
    expect([...gradients]).toEqual([0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
  });

  it('leading counts the frozen groups before the first trained one', () => {
    expect(FrozenParts.leading({ groups })).toBe(1);
    expect(FrozenParts.leading({ groups: groups.slice(1) })).toBe(0);
  });
});
