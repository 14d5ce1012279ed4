import { distance } from 'fastest-levenshtein';

/** The known word that `word` was probably meant to be, by edit distance; undefined where none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const [first] = known.toSorted((a, b) => distance(a, word) - distance(b, word));
  return first !== undefined && distance(first, word) <= Math.max(2, word.length / 3) ? first : undefined;
}
