import { extname } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { messageOf, UserError } from '../src/util/errors.js';
import { requireReplaceable } from '../src/util/regular-file.js';
import { npyFile } from './npy.js';

interface CentroidTable {
  classes: number;
  dim: number;
  seed: number;
  /** Row-major [classes, dim]. */
  values: Float32Array;
}

const encoders = new Map<string, (table: CentroidTable) => Buffer>([
  ['.npy', npy],
  ['.json', json],
  ['.bin', ({ values }) => bytesOf(values)],
]);

/** @throws UserError for a name whose ending names no format (`CENTROID_FILE_INVALID`), or where no file can be written */
export function checkCentroidFile(file: string): void {
  requireReplaceable(file);
  encoderFor(file);
}

function encoderFor(file: string): (table: CentroidTable) => Buffer {
  const encoder = encoders.get(extname(file));
  if (encoder !== undefined) return encoder;
  throw new UserError(
    'CENTROID_FILE_INVALID',
    `${file}: end the name in .npy (NumPy), .json or .bin (little-endian float32, row by row)`,
  );
}

/** Writes centroids, whole or not at all, in the format that the file's ending names. */
export function writeCentroids(file: string, table: CentroidTable): void {
  const encode = encoderFor(file);
  try {
    writeFileAtomicSync(file, encode(table));
  } catch (error) {
    throw new UserError('CENTROID_FILE_INVALID', `cannot write ${file}: ${messageOf(error)}`);
  }
}

function npy({ classes, dim, values }: CentroidTable): Buffer {
  return npyFile(values, [classes, dim]);
}

function json({ classes, dim, seed, values }: CentroidTable): Buffer {
  return Buffer.from(`${JSON.stringify({ classes, dim, seed, values: Array.from(values) })}\n`);
}

function bytesOf(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
