import { describe, expect, it } from 'vitest';
import { pairwise, siblings, slotsFor, sumInto } from '../../src/collective/pairwise.js';

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);
const text = (count: number) =>
  pairwise(
    upTo(count).map((index) => `${index}`),
    (a, b) => `(${a}+${b})`,
  );

/** Terms whose float32 sum depends on the order of the additions. */
function terms(count: number): number[] {
  return upTo(count).map((index) => Math.fround(Math.sin(index * 7 + 1) * 10 ** (index % 6)));
}
const add = (a: number, b: number) => Math.fround(a + b);

describe('pairwise', () => {
  it('adds pairs, then pairs of pairs', () => {
    expect(upTo(6).map((count) => text(count))).toEqual([
      undefined,
      '0',
      '(0+1)',
      '((0+1)+2)',
      '((0+1)+(2+3))',
      '(((0+1)+(2+3))+4)',
    ]);
  });

  it('skips undefined terms', () => {
    const add = (a: string, b: string) => `(${a}+${b})`;
    expect(pairwise([undefined, 'b', undefined, 'd'], add)).toBe('(b+d)');
    expect(pairwise([undefined, undefined], add)).toBeUndefined();
  });

  it.each([2, 4, 8])('gives the same bits when each of %i ranks adds its own terms first', (ranks) => {
    const all = terms(16);
    const shares = upTo(ranks).map((rank) => all.slice((rank * 16) / ranks, ((rank + 1) * 16) / ranks));
    const sums = shares.map((share) => pairwise(share, add));
    expect(pairwise(sums, add)).toBe(pairwise(all, add));
    expect(all.reduce(add)).not.toBe(pairwise(all, add));
  });
});

describe.each(upTo(17).slice(1))('siblings among %i ranks', (worldSize) => {
  it('give every rank the pairwise sum, with no more slots than slotsFor says', () => {
    const all = terms(worldSize);
    for (const rank of upTo(worldSize)) {
      let own = all[rank];
      for (const group of siblings(rank, worldSize)) {
        const places: number[] = [];
        const load = (peer: number, slot: number) => void (places[slot] = all[peer]);
        sumInto({ load, add: (to, from) => void (places[to] = add(places[to], places[from])) }, group);
        expect(places.length).toBeLessThanOrEqual(slotsFor(group.length));
        own = add(own, places[0]);
      }
      expect(own).toBe(pairwise(all, add));
    }
  });
});
