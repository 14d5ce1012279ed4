import { describe, expect, it } from 'vitest';
import { Assembly, disagreement } from '../../../src/job/coordinator/assembly.js';

describe('Assembly', () => {
  it('returns all values by rank when the last value arrives', () => {
    const assembly = new Assembly<string>(3);
    expect(assembly.add('x', 2, 'c')).toBeUndefined();
    expect(assembly.add('x', 0, 'a')).toBeUndefined();
    expect(assembly.add('x', 1, 'b')).toEqual(['a', 'b', 'c']);
  });

  it('separates names, and takes a name again once it is complete', () => {
    const assembly = new Assembly<number>(2);
    expect(assembly.add('x', 0, 1)).toBeUndefined();
    expect(assembly.add('y', 1, 20)).toBeUndefined();
    expect(assembly.add('y', 0, 10)).toEqual([10, 20]);
    expect(assembly.add('x', 1, 2)).toEqual([1, 2]);
    expect(assembly.add('x', 1, 4)).toBeUndefined();
    expect(assembly.add('x', 0, 3)).toEqual([3, 4]);
  });

  it('accepts undefined and false as values', () => {
    const assembly = new Assembly<unknown>(2);
    expect(assembly.add('x', 0, undefined)).toBeUndefined();
    expect(assembly.add('x', 1, false)).toEqual([undefined, false]);
  });

  it('reports the rank that gives a value twice', () => {
    const assembly = new Assembly<number>(2);
    assembly.add('epoch', 1, 1);
    expect(() => assembly.add('epoch', 1, 2)).toThrow('rank 1 gave epoch twice');
  });
});

describe('disagreement', () => {
  it('is undefined if all values are equal', () => {
    expect(disagreement('weights', ['a', 'a', 'a'])).toBeUndefined();
    expect(disagreement('weights', ['a'])).toBeUndefined();
  });

  it('lists the ranks of each value', () => {
    expect(disagreement('weights', ['a', 'b', 'a'])).toMatch(/ \(ranks 0, 2: a; rank 1: b\): /);
    const line = disagreement('data set', ['aa', 'bb', 'aa', 'cc']);
    expect(line).toMatch(
      /^the ranks disagree about the data set \(ranks 0, 2: aa; rank 1: bb; rank 3: cc\): /,
    );
  });
});
