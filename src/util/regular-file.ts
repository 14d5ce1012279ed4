import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import type { ErrorCode } from './error-codes.js';
import { messageOf, UserError } from './errors.js';

export interface ReadLimits {
  /** Bytes that such a file has at most. */
  mostBytes: number;
  /** Code of the error; default: `FILE_UNUSABLE`. */
  code?: ErrorCode;
}

/** What the system's codes mean for a file or folder that the user named. */
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

/**
 * The bytes of a file that somebody has named. It must be a regular file of bounded size: a named pipe, a socket, a
 * device or a folder is refused before it is opened, so that nothing waits and nothing is read without end.
 *
 * @throws UserError in one line, with the path and the reason and nothing of the content
 */
export function readRegularFile(path: string, { mostBytes, code = 'FILE_UNUSABLE' }: ReadLimits): Buffer {
  const refuse = (reason: string) => new UserError(code, `cannot read ${path}: ${reason}`);
  try {
    const kind = kindOf(statSync(path));
    if (kind !== undefined) throw refuse(`it is ${kind}, not a file`);
    const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const opened = fstatSync(descriptor);
      const now = kindOf(opened);
      if (now !== undefined) throw refuse(`it is ${now}, not a file`);
      if (opened.size > mostBytes)
        throw refuse(`it has ${size(opened.size)}, such a file has ${size(mostBytes)} at most`);
      const bytes = Buffer.alloc(mostBytes < opened.size + 4096 ? mostBytes + 1 : opened.size + 4096);
      let length = 0;
      for (let read = -1; read !== 0 && length < bytes.length; length += read)
        read = readSync(descriptor, bytes, length, bytes.length - length, null);
      if (length === bytes.length) throw refuse('it grows while it is read');
      return bytes.subarray(0, length);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw refuse(fileReason(error) ?? messageOf(error));
  }
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

/** The kind of a path that is not a file, such as a folder or a pipe; undefined for a file. */
function kindOf(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a named pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}

function size(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${Math.ceil(bytes / 1e6)} MB`;
}
