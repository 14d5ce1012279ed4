import { statSync } from 'node:fs';
import { UserError } from '../util/errors.js';
import { reasonOf, regularBytes } from '../util/regular-file.js';

/** An image file in memory. */
export interface EncodedImage {
  /** Name in messages. */
  file: string;
  bytes: Uint8Array;
}

/** Kinds of image files that are decoded, recognised by their content. */
export type ImageKind = 'JPEG' | 'PNG' | 'WebP';

/** No image is larger than this, compressed. */
export const largestFile = 2 ** 30;

/** Bytes of a file that is about to be read; 0 where the size is not known: reading then reports the reason. */
export function sizeOfFile(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * The bytes of a regular file; links to one are followed. Anything else (a folder, a pipe, a socket, a device) is
 * refused without waiting for it.
 *
 * @throws UserError `IMAGE_INVALID`, naming the file
 */
export function readImageFile(file: string): Uint8Array {
  try {
    return regularBytes(file, largestFile);
  } catch (error) {
    throw notAnImage(file, reasonOf(error));
  }
}

/**
 * Kind of an image, by its first bytes.
 *
 * @throws UserError `IMAGE_INVALID` for any other kind, whatever the file is called, and for an image too long
 */
export function kindOf({ file, bytes }: EncodedImage): ImageKind {
  const found = signatures.find(({ at, begins }) => startsWith(bytes, begins, at))?.kind;
  if (found === 'JPEG' || found === 'PNG' || found === 'WebP') {
    const side = claimedSide(bytes, found);
    if (side <= longestSide) return found;
    throw notAnImage(file, `it has ${side} pixels a side, ${longestSide} are the most`);
  }
  if (bytes.length === 0) throw notAnImage(file, 'it is empty');
  throw notAnImage(file, `it is ${found ?? 'something else'}, not JPEG, PNG or WebP`);
}

/** Whether an image is an animated WebP or PNG, of which the first frame counts. */
export function isAnimated(bytes: Uint8Array): boolean {
  if (startsWith(bytes, 'WEBPVP8X', 8)) return (bytes[20] & 2) !== 0;
  return startsWith(bytes, pngSignature, 0) && chunksOf(bytes, 'IDAT').includes('acTL');
}

/** Most pixels of the longer side where the format has no such bound: many lines are held at a time. */
const longestSide = 32_767;

/** Longer side that a file claims, where its format allows more than `longestSide`: PNG, and animated WebP. */
function claimedSide(bytes: Uint8Array, kind: ImageKind): number {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  // The first chunk of a PNG is IHDR, by its specification.
  if (kind === 'PNG' && view.length >= 24) return Math.max(view.readUInt32BE(16), view.readUInt32BE(20));
  if (kind === 'WebP' && view.length >= 30 && startsWith(bytes, 'VP8X', 12))
    return 1 + Math.max(view.readUIntLE(24, 3), view.readUIntLE(27, 3));
  return 0;
}

/** Whether a file of this kind is shorter than its format says. */
export function endsEarly(bytes: Uint8Array, kind: ImageKind): boolean {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (kind) {
    case 'JPEG':
      return view.lastIndexOf(Buffer.of(0xff, 0xd9)) < 0;
    case 'WebP':
      return view.length < 12 || view.readUInt32LE(4) + 8 > view.length;
    case 'PNG':
      return chunksOf(bytes, 'IEND').at(-1) !== 'IEND';
  }
}

/** The error of a file that cannot be decoded. */
export function notAnImage(file: string, reason: string): UserError {
  return new UserError(
    'IMAGE_INVALID',
    `${file} is no image that can be read (${reason}): replace or remove it`,
  );
}

const pngSignature = '\x89PNG\r\n\x1a\n';

const signatures: readonly { kind: string; begins: string; at: number }[] = [
  { kind: 'JPEG', begins: '\xff\xd8\xff', at: 0 },
  { kind: 'PNG', begins: pngSignature, at: 0 },
  { kind: 'WebP', begins: 'WEBP', at: 8 },
  { kind: 'a GIF', begins: 'GIF8', at: 0 },
  { kind: 'a BMP', begins: 'BM', at: 0 },
  { kind: 'a TIFF', begins: 'II*\0', at: 0 },
  { kind: 'a TIFF', begins: 'MM\0*', at: 0 },
  { kind: 'a PDF', begins: '%PDF', at: 0 },
  { kind: 'HEIF or AVIF', begins: 'ftyp', at: 4 },
  { kind: 'SVG or other text in tags', begins: '<', at: 0 },
];

function startsWith(bytes: Uint8Array, text: string, at: number): boolean {
  if (bytes.length < at + text.length) return false;
  for (let index = 0; index < text.length; index++)
    if (bytes[at + index] !== text.charCodeAt(index)) return false;
  return true;
}

/** Types of a PNG's chunks to the first `last`; a chunk is 4 bytes of length, 4 of type, data, 4 of checksum. */
function chunksOf(bytes: Uint8Array, last: string): string[] {
  const png = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const types: string[] = [];
  for (let at = 8; at + 12 <= png.length && types.at(-1) !== last; at += 12 + png.readUInt32BE(at))
    types.push(png.toString('latin1', at + 4, at + 8));
  return types;
}
