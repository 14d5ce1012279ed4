import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { UserError } from '../errors.js';
import { imageExtensions } from './image-index.js';

/**
 * The image files that paths name: files as they are, folders with every .jpg and .png below them, sorted. A path
 * that is not there stays in the list, so that reading it says so in its turn.
 *
 * @throws UserError `NO_IMAGES` for a folder without images
 */
export async function findImages(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const isFolder = await stat(path).then(
      (about) => about.isDirectory(),
      () => false,
    );
    if (!isFolder) found.push(path);
    else found.push(...(await imagesBelow(path)));
  }
  return found;
}

async function imagesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .filter(({ name }) => imageExtensions.has(extname(name).toLowerCase()))
    .map(({ parentPath, name }) => join(parentPath, name));
  if (files.length > 0) return files.sort();
  throw new UserError('NO_IMAGES', `${folder} holds no .jpg or .png images`);
}
