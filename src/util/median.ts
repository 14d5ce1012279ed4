import { present } from './present.js';

/** The middle value; of an even number the upper one of the two. */
export function median(values: readonly number[]): number {
  return present(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)], 'a value');
}
