/** Buffers up to this size are not worth freeing by hand. */
const smallBytes = 128;

/**
 * Gives a received payload's memory back at once, not at some later garbage collection: at hundreds of megabytes a second
 * the difference is the resident size of the process. Memory that others use too stays.
 */
export function giveBack({ buffer, byteOffset, length }: Uint8Array): void {
  if (length <= smallBytes || byteOffset !== 0 || buffer.byteLength !== length) return;
  if (buffer instanceof ArrayBuffer && 'transfer' in buffer) buffer.transfer(0);
}
