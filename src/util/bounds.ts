import { z } from 'zod';

/** A whole number from 1 to `most`. Every setting has a bound, so that a typing mistake is an error, not a hang. */
export function upTo(most: number) {
  return z.int().min(1).max(most);
}

/** A whole number from 0 to `most`. */
export function zeroTo(most: number) {
  return z.int().min(0).max(most);
}

/** Text that names a file or folder. */
export const path = z.string().min(1).max(4096);

/** Of a training batch. */
export const mostImages = 2 ** 20;
export const mostEpochs = 1_000_000;
export const mostWorkers = 1024;

export const probability = z.number().min(0).max(1);
