import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { messageOf, UserError } from '../errors.js';

const imageExtensions = new Set(['.jpg', '.jpeg', '.png', '.webp']);
/** Them in words. */
export const imageKinds = '.jpg, .png or .webp';
/** What file managers leave in folders. */
const leftovers = new Set(['thumbs.db', 'desktop.ini']);

interface Below {
  /** What the folder is for, where it is missing or cannot be read. */
  needs: string;
  /** Told of each file that is no image. */
  onOther?(file: string): void;
}

/**
 * The image files that paths name: files as they are, folders with every image below them. A path that is not there
 * stays in the list, so that reading it says so in its turn.
 *
 * @throws UserError `NO_IMAGES` for a folder without images, `DATA_NOT_FOUND` for one that cannot be read
 */
export async function findImages(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const needs = 'give folders that can be read';
    const about = await stat(path).catch(() => undefined);
    const files = about?.isDirectory() ? await imagesBelow(path, { needs }) : [path];
    if (files.length === 0) throw new UserError('NO_IMAGES', `${path} holds no ${imageKinds} images`);
    found.push(...files);
  }
  return found;
}

/** The images in a folder, then those of each folder in it, all in the order of their names. */
export async function imagesBelow(folder: string, below: Below): Promise<string[]> {
  const entries = await listFolder(folder, below.needs);
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = entries.filter((entry) => !entry.isDirectory());
  for (const entry of files) if (!isImage(entry)) below.onOther?.(join(folder, entry.name));
  const images = files.filter(isImage).map(({ name }) => join(folder, name));
  for (const entry of entries)
    if (entry.isDirectory()) images.push(...(await imagesBelow(join(folder, entry.name), below)));
  return images;
}

/** Whether the name is that of an image file. */
export function isImage(entry: Dirent): boolean {
  return !entry.isDirectory() && imageExtensions.has(extname(entry.name).toLowerCase());
}

/**
 * What is in a folder, but for what begins with a dot and what file managers leave.
 *
 * @throws UserError `DATA_NOT_FOUND`, which ends in `needs`
 */
export async function listFolder(folder: string, needs: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter(({ name }) => !name.startsWith('.') && !leftovers.has(name.toLowerCase()));
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'does not exist'
        : `cannot be read (${messageOf(error)})`;
    throw new UserError('DATA_NOT_FOUND', `the folder ${folder} ${reason}: ${needs}`);
  }
}
