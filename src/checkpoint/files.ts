import { statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { messageOf, UserError } from '../util/errors.js';
import { readRegularFile } from '../util/regular-file.js';

/** Length, in bytes, and digest of a file of a checkpoint. */
export interface Described {
  bytes: number;
  sha256: string;
}

/** The system's error codes for a file that cannot be written. */
const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file would be too large',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'its folder is gone',
};

/** Why a file could not be written, in words. */
export function reasonOf(error: unknown): string {
  return reasons[(error as NodeJS.ErrnoException).code ?? ''] ?? messageOf(error);
}

/** Writes a file through to the disk: these parts, one after another. */
export async function writeSynced(file: string, ...parts: readonly Uint8Array[]): Promise<Described> {
  const handle = await open(file, 'w');
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for (const part of parts) {
      hash.update(part);
      await handle.writeFile(part);
      bytes += part.length;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().catch(() => {});
  await handle.close();
}

/**
 * The bytes of a file, which must be those that were written; a file of another length is not read at all.
 *
 * @throws UserError `CHECKPOINT_CORRUPT`
 */
export function readVerified(file: string, expected: Described): Buffer {
  const broken = (what: string) =>
    new UserError('CHECKPOINT_CORRUPT', `${file} ${what}: use an older checkpoint`);
  const found = statSync(file, { throwIfNoEntry: false });
  const refuseLength = (length: number) => broken(`has ${length} bytes, not the ${expected.bytes} written`);
  if (found?.isFile() && found.size !== expected.bytes) throw refuseLength(found.size);
  const bytes = readRegularFile(file, { mostBytes: expected.bytes, code: 'CHECKPOINT_CORRUPT' });
  if (bytes.length !== expected.bytes) throw refuseLength(bytes.length);
  if (sha256(bytes) !== expected.sha256) throw broken('does not match its checksum');
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
