import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ErrorCode } from './error-codes.js';
import { messageOf, UserError } from './errors.js';

export interface ReadLimits {
  /** Most bytes of such a file. */
  mostBytes: number;
  /** Code of the error; default: `FILE_UNUSABLE`. */
  code?: ErrorCode;
}

/** Meanings of system error codes for a file or folder that the user named. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is no folder',
  EISDIR: 'it is a folder',
  ENOSPC: 'no space is left',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
  ENXIO: 'nothing is behind it',
  ENOTEMPTY: 'the folder is not empty',
  EEXIST: 'it is there already',
  EMFILE: 'too many files are open (ulimit -n)',
  ENFILE: 'too many files are open on this machine',
  EFBIG: 'it would be larger than the system allows',
  EDQUOT: 'the disk quota is used up',
};

/** The system's error about a file, in words; undefined if the error is not about a file. */
export function fileReason(error: unknown): string | undefined {
  const { code = '' } = error as NodeJS.ErrnoException;
  return Object.hasOwn(reasons, code) ? reasons[code] : undefined;
}

/** Most bytes that the system reads in one call. */
const oneRead = 2 ** 30;

/** Flag without which opening a named pipe would wait for its other end. */
const nonBlocking = constants.O_NONBLOCK ?? 0;

/**
 * Opens a file that somebody has named, for reading where `flags` do not say otherwise. A named pipe, a socket, a device
 * or a folder is refused before it is opened and once more afterwards, so that nothing waits. Throws the system's error,
 * or one that says what the path names.
 */
export function openRegular(
  path: string,
  flags: number = constants.O_RDONLY,
): { descriptor: number; stats: Stats } {
  const before = statSync(path, { throwIfNoEntry: false });
  if (before) requireRegular(before);
  const descriptor = openSync(path, flags | nonBlocking);
  try {
    const stats = fstatSync(descriptor);
    requireRegular(stats);
    return { descriptor, stats };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** Opens a file to add to its end; it is made where there is none. */
export function openLog(file: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT } = constants;
  return openRegular(file, O_WRONLY | O_APPEND | O_CREAT).descriptor;
}

/** `openRegular` without blocking the thread. */
export async function openRegularHandle(
  path: string,
  flags: number = constants.O_RDONLY,
): Promise<FileHandle> {
  const before = await stat(path).catch(() => undefined);
  if (before) requireRegular(before);
  const handle = await open(path, flags | nonBlocking);
  try {
    requireRegular(await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * The bytes of a file that somebody has named. It must be a regular file of bounded size (see `openRegular`), so that
 * nothing waits and nothing is read without end. Throws as `openRegular` does.
 */
export function regularBytes(path: string, mostBytes: number): Buffer {
  const { descriptor, stats } = openRegular(path);
  try {
    if (stats.size > mostBytes)
      throw new Error(`it has ${size(stats.size)}, such a file has ${size(mostBytes)} at most`);
    return readWhole(descriptor, Math.min(mostBytes, stats.size + 4096));
  } finally {
    closeSync(descriptor);
  }
}

/**
 * As `regularBytes`.
 *
 * @throws UserError in one line, with the path and the reason and nothing of the content
 */
export function readRegularFile(path: string, { mostBytes, code = 'FILE_UNUSABLE' }: ReadLimits): Buffer {
  try {
    return regularBytes(path, mostBytes);
  } catch (error) {
    throw new UserError(code, `cannot read ${path}: ${reasonOf(error)}`);
  }
}

/** Why a file could not be opened or read, in words. */
export function reasonOf(error: unknown): string {
  return fileReason(error) ?? messageOf(error);
}

/** The text of such a file; it must be UTF-8. */
export function readRegularText(path: string, limits: ReadLimits): string {
  const bytes = readRegularFile(path, limits);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UserError(limits.code ?? 'FILE_UNUSABLE', `cannot read ${path}: it is no text in UTF-8`);
  }
}

/**
 * Refuses a path that a file cannot or must not replace, before there is something to write: a named pipe, a socket, a
 * device, a folder, or anything in a missing folder.
 *
 * @throws UserError `FILE_UNUSABLE`
 */
export function requireReplaceable(path: string): void {
  const refuse = (reason: string) => new UserError('FILE_UNUSABLE', `cannot write ${path}: ${reason}`);
  let there: Stats | undefined;
  try {
    there = statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw refuse(reasonOf(error));
  }
  if (there && !there.isFile()) throw refuse(`it is ${kindOfEntry(there)}, not a file`);
  if (!there && !statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory())
    throw refuse(`there is no folder ${dirname(path)}`);
}

/** The kind of an entry of a folder that is not a file, in words. */
export function kindOfEntry(entry: Pick<Stats, 'isDirectory' | 'isFIFO' | 'isSocket'>): string {
  if (entry.isDirectory()) return 'a folder';
  if (entry.isFIFO()) return 'a named pipe';
  return entry.isSocket() ? 'a socket' : 'a device';
}

function requireRegular(stats: Stats): void {
  if (!stats.isFile()) throw new Error(`it is ${kindOfEntry(stats)}, not a file`);
}

function readWhole(descriptor: number, expected: number): Buffer {
  // One byte more: a file that has grown meanwhile fills it.
  const bytes = Buffer.alloc(expected + 1);
  let length = 0;
  for (let read = -1; read !== 0 && length < bytes.length; length += read)
    read = readSync(descriptor, bytes, length, Math.min(bytes.length - length, oneRead), null);
  if (length === bytes.length) throw new Error('it grows while it is read');
  return bytes.subarray(0, length);
}

function size(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${Math.ceil(bytes / 1e6)} MB`;
}
