import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it, as far as they are missing. Node's own way of doing so never ends where the system
 * says of a folder that is there that it is not, as below /proc. Throws the system's error.
 */
export function makeFolder(folder: string, mode = 0o777): void {
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = dirname(folder);
    if (code === 'ENOENT' && !existsSync(parent)) {
      makeFolder(parent, mode);
      return makeFolder(folder, mode);
    }
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}
