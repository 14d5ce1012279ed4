import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { messageOf, UserError } from '../errors.js';
import type { SplitName } from './dataset.js';

const folderLayout = 'train/<class>/ and test/<class>/';
/** Endings of image files. */
export const imageExtensions = new Set(['.jpg', '.jpeg', '.png']);
/** What file managers leave in folders. */
const leftovers = new Set(['thumbs.db', 'desktop.ini']);

/** The image files of one split, in the order that gives each its index. */
export interface SplitIndex {
  files: string[];
  labels: Int32Array;
}

export interface ImageIndex {
  /** Folder names under `train`, sorted; a class is its position here. */
  classNames: string[];
  splits: Record<SplitName, SplitIndex>;
}

/**
 * Lists `<root>/{train,test}/<class>/*.{jpg,jpeg,png}`. Both splits must hold the same classes, each with an image.
 * Names that begin with a dot are passed over.
 *
 * @throws UserError `DATA_NOT_FOUND` or `DATA_INVALID`, naming the folder that is missing, empty or unexpected, or the
 * file in a class that is no image
 */
export async function indexImages(root: string): Promise<ImageIndex> {
  const classNames = await foldersIn(join(root, 'train'));
  const testNames = await foldersIn(join(root, 'test'));
  const unknown = testNames.find((name) => !classNames.includes(name));
  if (unknown !== undefined) {
    throw new UserError(
      'DATA_INVALID',
      `${join(root, 'test', unknown)}: there is no class ${unknown} in ${join(root, 'train')}`,
    );
  }
  const missing = classNames.find((name) => !testNames.includes(name));
  if (missing !== undefined) {
    throw new UserError(
      'DATA_INVALID',
      `${join(root, 'test', missing)} is missing: every class needs test images`,
    );
  }
  const [train, test] = await Promise.all(
    (['train', 'test'] as const).map((split) => indexSplit(join(root, split), classNames)),
  );
  return { classNames, splits: { train, test } };
}

async function indexSplit(folder: string, classNames: readonly string[]): Promise<SplitIndex> {
  const byClass = await Promise.all(classNames.map((name) => imagesIn(join(folder, name))));
  return {
    files: byClass.flat(),
    labels: Int32Array.from(byClass.flatMap((files, label) => new Array<number>(files.length).fill(label))),
  };
}

/** Names of the class folders in `folder`, sorted. */
export async function foldersIn(folder: string, layout = folderLayout): Promise<string[]> {
  const entries = await list(folder, layout);
  const names = entries
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map((entry) => entry.name)
    .sort();
  if (names.length === 0) {
    throw new UserError(
      'DATA_INVALID',
      `${folder} holds no class folders: put images into ${join(folder, '<class>')}/*.jpg or *.png`,
    );
  }
  return names;
}

/** The image files in `folder`, sorted. Anything else there is an error: a misplaced file would be missed silently. */
export async function imagesIn(folder: string, layout = folderLayout): Promise<string[]> {
  const entries = await list(folder, layout);
  const files = entries.filter(({ name }) => !leftovers.has(name.toLowerCase()));
  const other = files.find(
    (entry) => entry.isDirectory() || !imageExtensions.has(extname(entry.name).toLowerCase()),
  );
  if (other) {
    throw new UserError(
      'DATA_INVALID',
      `${join(folder, other.name)} is no .jpg or .png image: move it out of the data set`,
    );
  }
  if (files.length === 0) throw new UserError('DATA_INVALID', `${folder} holds no .jpg or .png images`);
  return files.map((entry) => join(folder, entry.name)).sort();
}

async function list(folder: string, layout: string) {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter(({ name }) => !name.startsWith('.'));
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'does not exist'
        : `cannot be read (${messageOf(error)})`;
    throw new UserError('DATA_NOT_FOUND', `the folder ${folder} ${reason}: data.root must hold ${layout}`);
  }
}
