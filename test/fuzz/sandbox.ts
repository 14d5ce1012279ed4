import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Digest of a folder's names, types, permissions and contents, without the paths in `without`. */
export function fingerprintOf(folder: string, without: readonly string[] = []): string {
  const hash = createHash('sha256');
  const visit = (path: string): void => {
    for (const name of readdirSync(path).sort()) {
      const inner = join(path, name);
      if (without.includes(inner)) continue;
      const stat = lstatSync(inner);
      hash.update(`${inner}\0${stat.mode}\0`);
      if (stat.isSymbolicLink()) hash.update(readlinkSync(inner));
      else if (stat.isDirectory()) visit(inner);
      else hash.update(readFileSync(inner));
    }
  };
  visit(folder);
  return hash.digest('hex');
}
