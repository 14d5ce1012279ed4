/**
 * Sums in pairs: n terms are the sum of the first m and the sum of the others, m the largest power of two below n, and
 * so on down to single terms.
 *
 *     n = 4: (a + b) + (c + d)        n = 3: (a + b) + c
 *
 * Why in this order: a power of two of ranks, each of which holds such a sum of as many terms, comes to the same bits as
 * any other number of them for the same terms, since a + b is b + a to the last bit and nothing else is exchanged. And
 * errors of rounding grow with log n, not with n.
 */

/** Number of terms in the first of two sums. */
function firstHalf(count: number): number {
  return 2 ** Math.floor(Math.log2(count - 1));
}

/**
 * Ranks whose terms a rank adds to its own, sum after sum. Rank 2 of 4 adds the term of rank 3, then the sum of those
 * of ranks 0 and 1.
 */
export function siblings(rank: number, worldSize: number): readonly (readonly number[])[] {
  const key = rank * 2 ** 20 + worldSize;
  const known = siblingsOf.get(key);
  if (known) return known;
  const groups: number[][] = [];
  let [first, count] = [0, worldSize];
  while (count > 1) {
    const half = firstHalf(count);
    const inFirst = rank < first + half;
    const [from, to] = inFirst ? [first + half, first + count] : [first, first + half];
    groups.unshift(Array.from({ length: to - from }, (_, index) => from + index));
    [first, count] = inFirst ? [first, half] : [first + half, count - half];
  }
  siblingsOf.set(key, groups);
  return groups;
}

const siblingsOf = new Map<number, readonly (readonly number[])[]>();

/** Number of slots that `sumInto` needs for so many terms. */
export function slotsFor(count: number): number {
  return 1 + Math.ceil(Math.log2(count));
}

/** Numbered places that take the terms of a sum and add them up. */
export interface Places<T> {
  load(term: T, slot: number): void;
  /** Adds the second place to the first. */
  add(target: number, source: number): void;
}

/** Adds up at least one term in place `slot`; the places after it hold intermediate sums. */
export function sumInto<T>(places: Places<T>, terms: readonly T[], slot = 0): void {
  if (terms.length === 1) return places.load(terms[0], slot);
  const half = firstHalf(terms.length);
  sumInto(places, terms.slice(0, half), slot);
  sumInto(places, terms.slice(half), slot + 1);
  places.add(slot, slot + 1);
}

/** Sum of terms, some of which may be absent and count as nothing; undefined where all are absent. */
export function pairwise<T>(terms: readonly (T | undefined)[], add: (a: T, b: T) => T): T | undefined {
  if (terms.length <= 1) return terms[0];
  const half = firstHalf(terms.length);
  const [a, b] = [pairwise(terms.slice(0, half), add), pairwise(terms.slice(half), add)];
  return a === undefined || b === undefined ? (a ?? b) : add(a, b);
}

/**
 * The sum of arrays, element by element, of which some may be absent; each addition is rounded to the arrays' own type, as
 * it is where ranks have an array each.
 *
 * @throws RangeError where all are absent
 */
export function sumArrays<T extends Float32Array | Float64Array>(arrays: readonly (T | undefined)[]): T {
  const sum = pairwise(arrays, (a, b) => a.map((value, index) => value + b[index]) as T);
  if (sum === undefined) throw new RangeError('no array to add up');
  return sum;
}
