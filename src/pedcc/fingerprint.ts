import { createHash } from 'node:crypto';

/** SHA-256, in hex, of the values' little-endian float32 bytes: what ranks compare before they start. */
export function fingerprint(values: Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');
}
