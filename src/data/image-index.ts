import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import type { SplitName } from './dataset.js';
import { imageKinds, imagesBelow, isImage, listFolder } from './find-images.js';

const folderLayout = 'train/<class>/ and test/<class>/ (or val/<class>/)';

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
 * Lists `<root>/{train,test}/<class>/*.{jpg,jpeg,png,webp}`; where there is no `test` the test images are those of `val`.
 * Both splits must hold the same classes, each with an image. Names that begin with a dot are passed over.
 *
 * @throws UserError `DATA_NOT_FOUND` or `DATA_INVALID`, naming the folder that is missing, empty or unexpected, or the
 * file in a class that is no image
 */
export async function indexImages(root: string): Promise<ImageIndex> {
  const classNames = await foldersIn(join(root, 'train'));
  const testFolders = ['test', 'val'].map((name) => join(root, name));
  const testFolder = testFolders.find((folder) => existsSync(folder)) ?? testFolders[0];
  const testNames = await foldersIn(testFolder);
  const unknown = testNames.find((name) => !classNames.includes(name));
  if (unknown !== undefined) {
    throw new UserError(
      'DATA_INVALID',
      `${join(testFolder, unknown)}: there is no class ${unknown} in ${join(root, 'train')}`,
    );
  }
  const missing = classNames.find((name) => !testNames.includes(name));
  if (missing !== undefined) {
    throw new UserError(
      'DATA_INVALID',
      `${join(testFolder, missing)} is missing: every class needs test images`,
    );
  }
  const [train, test] = await Promise.all(
    [join(root, 'train'), testFolder].map((folder) => indexSplit(folder, classNames)),
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
  const entries = await listFolder(folder, `data.root must hold ${layout}`);
  const names = entries
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map((entry) => entry.name)
    .sort();
  if (names.length === 0) {
    throw new UserError(
      'DATA_INVALID',
      `${folder} holds no class folders: put images into ${join(folder, '<class>')}/*.jpg`,
    );
  }
  return names;
}

/** The image files in `folder`, sorted. */
export async function imagesIn(folder: string, layout = folderLayout): Promise<string[]> {
  const files = await listFolder(folder, `data.root must hold ${layout}`);
  const other = files.find((entry) => !isImage(entry));
  if (other) refuse(join(folder, other.name));
  if (files.length === 0) throw new UserError('DATA_INVALID', `${folder} holds no ${imageKinds} images`);
  return files.map((entry) => join(folder, entry.name)).sort();
}

/**
 * Lists images of no class, such as those of `evaluation.unknown`: all in `root`, then folder by folder in it.
 *
 * @throws UserError as `indexImages`
 */
export async function indexUnclassed(root: string): Promise<ImageIndex> {
  const needs = `evaluation.unknown must hold ${imageKinds} images, in folders or not`;
  const files = await imagesBelow(root, { needs, onOther: refuse });
  if (files.length === 0) throw new UserError('DATA_INVALID', `${root} holds no ${imageKinds} images`);
  const none = { files: [], labels: new Int32Array(0) };
  return { classNames: [], splits: { train: none, test: { files, labels: new Int32Array(files.length) } } };
}

/** Anything but an image is an error: a misplaced file would be missed silently. */
function refuse(file: string): never {
  throw new UserError('DATA_INVALID', `${file} is no ${imageKinds} image: move it out of the data set`);
}
