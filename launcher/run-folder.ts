import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, UserError } from '../src/errors.js';

/**
 * The folder of a new run: `out` if it is given and free, else the first free one of `runs/<name>`, `runs/<name>-2`,
 * ... Nothing that is there is ever overwritten.
 *
 * @throws UserError `RUN_EXISTS`, or `RUN_FOLDER_INVALID` where no folder can be made
 */
export function newRunFolder(name: string, out?: string): string {
  if (out !== undefined) {
    try {
      mkdirSync(out, { recursive: true });
    } catch (error) {
      throw new UserError('RUN_FOLDER_INVALID', `--out ${out} cannot be a run folder: ${messageOf(error)}`);
    }
    if (!isFree(out)) {
      throw new UserError(
        'RUN_EXISTS',
        `${out} already holds files: give another --out, or --resume to go on with the run in it`,
      );
    }
    return out;
  }
  for (let number = 1; ; number++) {
    const folder = join('runs', number === 1 ? name : `${name}-${number}`);
    if (isFree(folder)) return folder;
  }
}

/** The newest folder that `newRunFolder` has given to this name. */
export function lastRunFolder(name: string): string {
  for (let number = 1, last = join('runs', name); ; number++) {
    const next = join('runs', `${name}-${number + 1}`);
    if (!existsSync(next)) return last;
    last = next;
  }
}

function isFree(folder: string): boolean {
  return !existsSync(folder) || readdirSync(folder).length === 0;
}
