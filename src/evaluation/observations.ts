import type { Comparison } from './comparison.js';

const columns = {
  labels: Int32Array,
  assigned: Int32Array,
  place: Uint8Array,
  norm: Float32Array,
  own: Float32Array,
  other: Float32Array,
  chosen: Float32Array,
  next: Float32Array,
} as const satisfies Record<keyof Comparison, unknown>;
const names = Object.keys(columns) as (keyof Comparison)[];

/** Bytes of one image in a packed comparison. */
export const comparisonBytes = Object.values(columns).reduce((sum, type) => sum + type.BYTES_PER_ELEMENT, 0);

/** Joins comparisons into one: their images one after another. */
export function joinComparisons(parts: readonly Comparison[]): Comparison {
  const joined = names.map((name) => {
    const arrays = parts.map((part) => part[name]);
    const whole = new columns[name](arrays.reduce((sum, array) => sum + array.length, 0));
    let offset = 0;
    for (const array of arrays) {
      whole.set(array, offset);
      offset += array.length;
    }
    return [name, whole];
  });
  return Object.fromEntries(joined) as Comparison;
}

/** A comparison as bytes, for the control connection: its columns one after another, `comparisonBytes` an image. */
export function packComparison(comparison: Comparison): Uint8Array {
  return packArrays(names.map((name) => comparison[name]));
}

/** Unpacks a comparison from `packComparison`. */
export function unpackComparison(bytes: Uint8Array): Comparison {
  const arrays = unpackArrays(
    bytes,
    names.map((name) => columns[name]),
  );
  return Object.fromEntries(names.map((name, index) => [name, arrays[index]])) as unknown as Comparison;
}

type Numeric = Int32Array | Uint8Array | Float32Array;
type NumericType = { new (buffer: ArrayBuffer): Numeric; readonly BYTES_PER_ELEMENT: number };

/** Arrays of one length as bytes. */
export function packArrays(arrays: readonly Numeric[]): Uint8Array {
  const bytes = new Uint8Array(arrays.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let offset = 0;
  for (const { buffer, byteOffset, byteLength } of arrays) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), offset);
    offset += byteLength;
  }
  return bytes;
}

/** Unpacks arrays of these types from `packArrays`. */
export function unpackArrays(bytes: Uint8Array, types: readonly NumericType[]): Numeric[] {
  const each = types.reduce((sum, type) => sum + type.BYTES_PER_ELEMENT, 0);
  const length = bytes.length / each;
  let offset = 0;
  return types.map((type) => {
    const end = offset + length * type.BYTES_PER_ELEMENT;
    const array = new type(new Uint8Array(bytes.subarray(offset, end)).buffer);
    offset = end;
    return array;
  });
}
