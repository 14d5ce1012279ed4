import type { WeightTensor } from '../models/layouts.js';

/** A tensor of a file, whose numbers are read when they are wanted. */
export interface StoredTensor {
  shape: readonly number[];
  read(): WeightTensor['data'];
}

/** Tensors of a file by name. */
export type StoredTensors = ReadonlyMap<string, StoredTensor>;

/** Dimensions of a tensor, at most. */
const mostDimensions = 16;

/** Whether these are whole numbers from 0 on. */
export function areWhole(numbers: readonly unknown[]): numbers is number[] {
  return numbers.every((one) => Number.isSafeInteger(one) && (one as number) >= 0);
}

/** The number of elements of a shape that a file states; undefined for what is no shape, or of too many elements. */
export function elementsOf(shape: unknown): number | undefined {
  if (!Array.isArray(shape) || shape.length > mostDimensions || !areWhole(shape)) return undefined;
  const count = shape.reduce((product, side) => product * side, 1);
  return Number.isSafeInteger(count) ? count : undefined;
}
