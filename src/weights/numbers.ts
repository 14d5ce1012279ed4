/** Bytes of a number of each type, by the names of safetensors. */
const sizes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

export type NumberType = keyof typeof sizes;

export function isNumberType(name: unknown): name is NumberType {
  return typeof name === 'string' && Object.hasOwn(sizes, name);
}

export function sizeOf(type: NumberType): number {
  return sizes[type];
}

/** The numbers of little-endian bytes, as float32. */
export function readNumbers(bytes: Uint8Array, type: NumberType): Float32Array {
  if (type === 'F32') return new Float32Array(new Uint8Array(bytes).buffer);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = sizes[type];
  const read = readers[type];
  const values = new Float32Array(bytes.byteLength / size);
  for (let index = 0; index < values.length; index++) values[index] = read(view, index * size);
  return values;
}

const readers: Readonly<Record<NumberType, (view: DataView, offset: number) => number>> = {
  F64: (view, offset) => view.getFloat64(offset, true),
  F32: (view, offset) => view.getFloat32(offset, true),
  F16: (view, offset) => half(view.getUint16(offset, true)),
  BF16: (view, offset) => brain(view.getUint16(offset, true)),
  I64: (view, offset) => Number(view.getBigInt64(offset, true)),
  I32: (view, offset) => view.getInt32(offset, true),
  I16: (view, offset) => view.getInt16(offset, true),
  I8: (view, offset) => view.getInt8(offset),
  U8: (view, offset) => view.getUint8(offset),
  BOOL: (view, offset) => view.getUint8(offset),
};

/** IEEE 754's binary16: a sign, five bits of exponent, ten of fraction. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const scratch = new DataView(new ArrayBuffer(4));

/** The upper half of a float32. */
function brain(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}
