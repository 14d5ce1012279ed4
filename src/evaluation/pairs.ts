import { UserError } from '../util/errors.js';

/** Two images, by name, and whether they show the same class. */
export interface Pair {
  left: string;
  right: string;
  same: boolean;
}

/** Pairs in folds of about equal size, for cross-validation. */
export interface Pairs {
  pairs: readonly Pair[];
  folds: number;
}

/** Folds of a list that does not say how many it has, as LFW's. */
const usualFolds = 10;

/**
 * Reads a list of pairs, a line each:
 *
 *     name 1 4          images 1 and 4 of a class, as in LFW's pairs.txt: name/name_0001, name/name_0004
 *     name 3 other 2    image 3 of one class and image 2 of another
 *     path path 1       two paths, and 1 for the same class, 0 for different ones
 *
 * parted by tabs or, in lines without tabs, by spaces. LFW's first line gives the number of folds, and of pairs of each kind in
 * a fold. `nameOf` makes the name of an image of a class.
 *
 * @throws UserError `DATA_INVALID` naming file and line
 */
export function readPairs(text: string, file: string): Pairs {
  const lines = text.split('\n').map((line) => line.trimEnd());
  const rows = lines.map((line) =>
    line.split(line.includes('\t') ? '\t' : /\s+/).filter((part) => part !== ''),
  );
  const isHead = rows[0].length > 0 && rows[0].length <= 2 && rows[0].every(isNumber);
  const folds = isHead ? Number(rows[0][0]) : usualFolds;
  const pairs = rows.flatMap((parts, index): Pair[] => {
    if (parts.length === 0 || (isHead && index === 0)) return [];
    const [a, b, c, d] = parts;
    if (parts.length === 3 && isNumber(b) && isNumber(c))
      return [{ left: numbered(a, b), right: numbered(a, c), same: true }];
    if (parts.length === 4 && isNumber(b) && isNumber(d))
      return [{ left: numbered(a, b), right: numbered(c, d), same: false }];
    if (parts.length === 3 && (c === '0' || c === '1')) return [{ left: a, right: b, same: c === '1' }];
    throw new UserError(
      'DATA_INVALID',
      `${file}:${index + 1}: no pair: give "name 1 2", "name 1 other 2" or "path path 1"`,
    );
  });
  if (pairs.length === 0 || folds < 2 || pairs.length < folds)
    throw new UserError('DATA_INVALID', `${file}: ${pairs.length} pairs for ${folds} folds`);
  return { pairs, folds };
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

function numbered(name: string, number: string): string {
  return `${name}/${name}_${number.padStart(4, '0')}`;
}

/** Finds the position of an image by a name that may lack its ending; undefined where there is none. */
export function findByName(names: readonly string[]): (name: string) => number | undefined {
  const places = new Map<string, number>();
  names.forEach((name, place) => {
    places.set(name.replace(/\.[^./]+$/, ''), place);
  });
  names.forEach((name, place) => places.set(name, place));
  return (name) => places.get(name.replaceAll('\\', '/').replace(/^\.\//, ''));
}
