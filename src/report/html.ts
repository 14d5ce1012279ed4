import { printableLines } from '../util/printable.js';

/** A value as JSON that may stand in a script element. */
export function scriptJson(value: unknown): string {
  const shown = (_key: string, part: unknown) => (typeof part === 'string' ? printableLines(part) : part);
  return JSON.stringify(value, shown)
    .replace(/</g, '\\u003c')
    .replace(/\u2028|\u2029/g, ' ');
}
