/** Whether two arrays hold the same bits. */
export function isEqual(a: Float32Array, b: Float32Array | undefined): boolean {
  return b !== undefined && bytesOf(a).equals(bytesOf(b));
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
