import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, UserError } from '../util/errors.js';
import { kindOfEntry } from '../util/regular-file.js';
import { mapAtMost } from './budget.js';

/** An entry of a folder; links are followed. */
export interface Entry {
  name: string;
  path: string;
  kind: 'file' | 'folder' | 'unusable';
  /** Reason why it is unusable. */
  problem: string;
}

/** Names of files that file managers leave in folders. */
const leftovers = /^(thumbs\.db|desktop\.ini|\.ds_store|\._.*)$/i;

/** Whether a name is passed over: it begins with a dot, or is left by a file manager. */
export function isHidden(name: string): boolean {
  return name.startsWith('.') || leftovers.test(name);
}

/** Whether a hidden name may be skipped without a notice. */
export function isLeftover(name: string): boolean {
  return leftovers.test(name);
}

/**
 * Entries of a folder, hidden ones too, in the order of the names. A name that is not UTF-8 is shown with its bytes.
 *
 * @throws UserError `DATA_NOT_FOUND`, which ends in `needs`
 */
export async function listFolder(folder: string, needs: string): Promise<Entry[]> {
  let found: Dirent<Buffer>[];
  try {
    found = await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    throw new UserError('DATA_NOT_FOUND', `the folder ${folder} ${reasonOf(error)}: ${needs}`);
  }
  const entries = await mapAtMost(16, found, (entry) => entryOf(folder, entry));
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function entryOf(folder: string, entry: Dirent<Buffer>): Promise<Entry> {
  const name = readable(entry.name);
  const path = join(folder, name);
  const unusable = (problem: string): Entry => ({ name, path, kind: 'unusable', problem });
  if (!isUtf8(entry.name)) return unusable('has a name that is not UTF-8: rename it');
  if (entry.isFile()) return { name, path, kind: 'file', problem: '' };
  if (entry.isDirectory()) return { name, path, kind: 'folder', problem: '' };
  if (!entry.isSymbolicLink()) return unusable(`is ${kindOfEntry(entry)}, not a file`);
  try {
    const target = await stat(path);
    if (target.isFile()) return { name, path, kind: 'file', problem: '' };
    if (target.isDirectory()) return { name, path, kind: 'folder', problem: '' };
    return unusable(`is a link to ${kindOfEntry(target)}, not to a file`);
  } catch (error) {
    return unusable(`is a link that leads nowhere (${(error as NodeJS.ErrnoException).code})`);
  }
}

function readable(name: Buffer): string {
  if (isUtf8(name)) return name.toString();
  const hex = (byte: string) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return name.toString('latin1').replace(/[^ -~]/g, hex);
}

function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'does not exist';
    case 'EACCES':
      return 'cannot be read, there is no permission to';
    case 'ENOTDIR':
      return 'is no folder';
    default:
      return `cannot be read (${messageOf(error)})`;
  }
}
