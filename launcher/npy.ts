/** NumPy's names of the numbers that are written. */
const types = { f4: Float32Array, i4: Int32Array } as const;

/**
 * A file in NumPy's format, version 1.0 (numpy.lib.format): magic, version, header length, a header padded to 64 bytes, then
 * the values, little-endian and row by row.
 */
export function npyFile(values: Float32Array | Int32Array, shape: readonly number[]): Buffer {
  const preamble = 10;
  const type = values instanceof types.f4 ? 'f4' : 'i4';
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '<${type}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const length = Math.ceil((preamble + text.length + 1) / 64) * 64 - preamble;
  const head = Buffer.alloc(preamble);
  head.write('\x93NUMPY\x01\x00', 'latin1');
  head.writeUInt16LE(length, 8);
  const body = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return Buffer.concat([head, Buffer.from(`${text.padEnd(length - 1)}\n`), body]);
}
