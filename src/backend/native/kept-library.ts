import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { z } from 'zod';
import { readRegularText } from '../../util/regular-file.js';
import type { Library } from './library.js';

/** Paths are relative to the folder that has the file. */
const keptSchema = z.object({
  version: z.string(),
  include: z.string(),
  folder: z.string(),
  files: z.array(z.string()),
});

const description = 'library.json';

/**
 * The library in `folder`, made there by `make` where there is none yet. It is made in a folder beside the final one,
 * which is renamed when it is whole: an interrupted or failed set-up leaves nothing that looks finished. Addons of later
 * versions of the C++ sources are built against the same library, without another download.
 *
 * @param fresh makes it again where it is there already
 */
export async function keptLibrary(
  folder: string,
  fresh: boolean,
  make: (home: string) => Promise<Library>,
): Promise<Library> {
  const kept = fresh ? undefined : readKept(folder);
  if (kept) return kept;
  await mkdir(dirname(folder), { recursive: true });
  const home = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`));
  try {
    const library = await make(home);
    const inside = (path: string) => relative(home, path);
    const about = { ...library, include: inside(library.include), folder: inside(library.folder) };
    writeFileAtomicSync(join(home, description), JSON.stringify(about, null, 2));
    await rm(folder, { recursive: true, force: true });
    await rename(home, folder);
    return resolved(folder, about);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

function readKept(folder: string): Library | undefined {
  const file = join(folder, description);
  if (!existsSync(file)) return undefined;
  try {
    const kept = resolved(
      folder,
      keptSchema.parse(JSON.parse(readRegularText(file, { mostBytes: 2 ** 20 }))),
    );
    return kept.files.every((name) => existsSync(join(kept.folder, name))) ? kept : undefined;
  } catch {
    return undefined;
  }
}

function resolved(home: string, { include, folder, ...about }: Library): Library {
  return { ...about, include: join(home, include), folder: join(home, folder) };
}
