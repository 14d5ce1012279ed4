import { PodDistError } from '../util/errors.js';

/** Operation that combines the ranks' values. */
export type ReduceOp = 'sum' | 'max';

/** Type that float32 values travel as: unchanged, or rounded to bfloat16 in half the bytes. */
export type WireType = 'float32' | 'bf16';

/**
 * The header that precedes every payload between two ranks: 44 bytes, little-endian.
 *
 *     0 magic u32   4 version u16   6 kind u8   7 element type u8   8 op u8   9 wire type u8   10 stream u8   11 zero
 *     12 sequence u32   16 step u32   20 chunk u32   24 source u32   28 tag u32   32 elements u32   36 bytes u32
 *     40 generation u32
 *
 * `sequence` counts the collectives of a communicator over all its streams, `elements` is the length of the whole
 * operation, `bytes` that of this payload, `tag` a hash of the caller's tag,
 * `generation` counts the configurations of the group. The receiver knows what must come next and
 * compares every byte: ranks that disagree about a collective stop instead of adding unlike numbers.
 */
export const headerBytes = 44;
/** Byte offset of the stream in a header. */
export const streamAt = 10;
/** Byte offset of the payload's length in a header. */
export const payloadBytesAt = 36;
export const wireVersion = 4;
const magic = 0x44_44_4f_50;

export const kinds = [
  'handshake',
  'allReduce',
  'reduceScatter',
  'allGather',
  'broadcast',
  'barrier',
  'acknowledge',
  'check',
  'shift',
] as const;
export type Kind = (typeof kinds)[number];
/** Collectives that pass values of all ranks. */
export type ReducingKind = 'allReduce' | 'reduceScatter' | 'allGather';
export const elementTypes = ['float32', 'float64'] as const;
export type ElementType = (typeof elementTypes)[number];
export const ops = ['sum', 'max'] as const satisfies readonly ReduceOp[];
export const wireTypes = ['float32', 'bf16'] as const satisfies readonly WireType[];

export interface Header {
  kind: Kind;
  type: ElementType;
  op: ReduceOp;
  wire: WireType;
  stream: number;
  sequence: number;
  step: number;
  chunk: number;
  source: number;
  tag: number;
  elements: number;
  bytes: number;
  generation: number;
}

export function encodeHeader(header: Header): Buffer {
  return writeHeader(Buffer.alloc(headerBytes), header);
}

/** Writes a header into the first `headerBytes` of a frame; returns the frame. */
export function writeHeader(frame: Buffer, header: Header): Buffer {
  frame.writeUInt32LE(magic, 0);
  frame.writeUInt16LE(wireVersion, 4);
  frame[6] = kinds.indexOf(header.kind);
  frame[7] = elementTypes.indexOf(header.type);
  frame[8] = ops.indexOf(header.op);
  frame[9] = wireTypes.indexOf(header.wire);
  frame[streamAt] = header.stream;
  frame.writeUInt32LE(header.sequence, 12);
  frame.writeUInt32LE(header.step, 16);
  frame.writeUInt32LE(header.chunk, 20);
  frame.writeUInt32LE(header.source, 24);
  frame.writeUInt32LE(header.tag, 28);
  frame.writeUInt32LE(header.elements, 32);
  frame.writeUInt32LE(header.bytes, payloadBytesAt);
  frame.writeUInt32LE(header.generation, 40);
  return frame;
}

/** Reads a header frame; one of another size, magic or version, or with a byte that means nothing, is a `PROTOCOL_ERROR`. */
export function decodeHeader(frame: Uint8Array): Header {
  const view = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.length !== headerBytes || view.readUInt32LE(0) !== magic) {
    throw new PodDistError(
      'PROTOCOL_ERROR',
      `a message of ${view.length} bytes on a data connection is not pod-dist's`,
    );
  }
  const version = view.readUInt16LE(4);
  if (version !== wireVersion) {
    throw new PodDistError(
      'PROTOCOL_ERROR',
      `a peer speaks wire version ${version}, this rank ${wireVersion}: install one version everywhere`,
    );
  }
  return {
    kind: meaning(kinds, view.readUInt8(6), 'kind'),
    type: meaning(elementTypes, view.readUInt8(7), 'element type'),
    op: meaning(ops, view.readUInt8(8), 'operation'),
    wire: meaning(wireTypes, view.readUInt8(9), 'wire type'),
    stream: view.readUInt8(streamAt),
    sequence: view.readUInt32LE(12),
    step: view.readUInt32LE(16),
    chunk: view.readUInt32LE(20),
    source: view.readUInt32LE(24),
    tag: view.readUInt32LE(28),
    elements: view.readUInt32LE(32),
    bytes: view.readUInt32LE(payloadBytesAt),
    generation: view.readUInt32LE(40),
  };
}

function meaning<T>(words: readonly T[], byte: number, what: string): T {
  const word = words[byte];
  if (word !== undefined) return word;
  throw new PodDistError(
    'PROTOCOL_ERROR',
    `a header on a data connection has ${what} ${byte}, which is none`,
  );
}

const comparison = Buffer.alloc(headerBytes);

/**
 * Compares a received header frame with the one that must come; `COLLECTIVE_MISMATCH` names every field that differs.
 */
export function checkHeader(received: Uint8Array, expected: Header, rank: number, tag: string): void {
  if (writeHeader(comparison, expected).equals(received)) return;
  const actual = decodeHeader(received);
  const fields = Object.keys(expected) as (keyof Header)[];
  const list = fields
    .filter((field) => actual[field] !== expected[field])
    .map((field) => `${field} ${actual[field]} instead of ${expected[field]}`)
    .join(', ');
  throw new PodDistError(
    'COLLECTIVE_MISMATCH',
    `rank ${rank} in ${expected.kind} '${tag}' (collective ${expected.sequence}) got from rank ${expected.source}: ${list}; ` +
      'every rank must call the same collectives in the same order with the same lengths ' +
      '(distributed.checkCollectives names both call sites)',
  );
}

/** FNV-1a hash of a tag. */
export function hashTag(tag: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < tag.length; index++) hash = Math.imul(hash ^ tag.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}
