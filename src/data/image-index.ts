import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../util/errors.js';
import { mapAtMost } from './budget.js';
import type { SplitName } from './dataset.js';
import { imageKinds, imagesBelow, isImage } from './find-images.js';
import { heldPlaces } from './hold-out.js';
import { isHidden, listFolder, type Entry } from './list-folder.js';
import type { ImageParts } from './places/place.js';
import { SlowNotice } from './slow-notice.js';
import { testFolderOf } from './test-split.js';

export const folderLayout = 'train/<class>/ and test/<class>/ (or val/<class>/)';

/** More folders are no classes: centroids, weights and totals have a row for each. */
const mostClasses = 1_000_000;

/** The image files of one split, in the order that gives each its index. */
export interface SplitIndex {
  files: string[];
  labels: Int32Array;
  /** Places of images that are parts of archives; `files` then only names them in messages. */
  parts?: ImageParts;
}

/** The image files of a data set and their classes. */
export interface ImageIndex {
  /** Names of the class folders in Unicode's form NFC, sorted; a class is its position here. */
  classNames: readonly string[];
  splits: Record<SplitName, SplitIndex>;
}

export interface IndexOptions {
  /** `test`, `val` or another folder in the root; default: `test`, or `val` where `test` has no class folders. */
  testSplit?: string;
  /** What is done with test images of classes that a model does not know; default: they are refused. */
  otherClasses?: 'refuse' | 'leave-out';
  /** Called with one line for each finding that does not stop reading. */
  notify?(line: string): void;
  /** Called for each fault of the layout; the images that are fine are listed anyway. Default: the first fault is thrown. */
  onFault?(fault: UserError): void;
}

/** Class folders by the name of their class. */
export type ClassFolders = ReadonlyMap<string, string>;

/**
 * Lists `<root>/{train,test}/<class>/*.{jpg,jpeg,png,webp}`. Both splits must hold the same classes, each with an image;
 * names that differ only in Unicode's form are the same class. Links are followed. Names that begin with a dot are
 * passed over.
 *
 * @throws UserError `DATA_NOT_FOUND` or `DATA_INVALID`, naming the folder that is missing, empty or unexpected, or the
 * file in a class that is no image
 */
export async function indexImages(root: string, options: IndexOptions = {}): Promise<ImageIndex> {
  const fault = faultsOf(options);
  const trainFolder = join(root, 'train');
  const train = await classFolders(trainFolder, fault);
  const testFolder = await testFolderOf(root, options);
  const test = await classFolders(testFolder, fault);
  const classNames = [...train.keys()].sort();
  if (train.size > 0 && test.size > 0) {
    for (const [name, folder] of test)
      if (!train.has(name))
        fault(new UserError('DATA_INVALID', `${folder}: there is no class ${name} in ${trainFolder}`));
    for (const name of classNames)
      if (!test.has(name))
        fault(
          new UserError(
            'DATA_INVALID',
            `${join(testFolder, name)} is missing: every class needs test images`,
          ),
        );
  }
  if (classNames.length === 1)
    options.notify?.(`${trainFolder} holds one class only, ${classNames[0]}: a classifier needs two or more`);
  const splits = {
    train: await indexSplit(classNames, train, { ...options, onFault: fault }),
    test: await indexSplit(classNames, test, { ...options, onFault: fault }),
  };
  return { classNames, splits };
}

/**
 * Lists training images and, as test images, a share of those of each class (one at least), which is not trained with: of
 * `<root>/train/<class>/`, or of `<root>/<class>/` where there is no `train`. The choice follows from the order of names.
 *
 * @throws UserError as `indexImages`; `DATA_INVALID` for a class of one image
 */
export async function indexHeldOut(
  root: string,
  share: number,
  options: IndexOptions = {},
): Promise<ImageIndex> {
  const fault = faultsOf(options);
  const folder = trainingFolderOf(root);
  const folders = await classFolders(folder, fault);
  const classNames = [...folders.keys()].sort();
  const { files, labels } = await indexSplit(classNames, folders, { ...options, onFault: fault });
  const splits = { train: emptySplit(), test: emptySplit() };
  let first = 0;
  classNames.forEach((name, label) => {
    let end = first;
    while (labels[end] === label) end++;
    const count = end - first;
    if (count === 1)
      fault(new UserError('DATA_INVALID', `${join(folder, name)} holds one image: data.holdOut needs two`));
    const held = new Set(heldPlaces(count, label, Math.max(1, Math.round(share * count))));
    for (let image = first; image < end; image++) {
      const split = held.has(image - first) ? splits.test : splits.train;
      split.files.push(files[image] as string);
      split.labels.push(label);
    }
    first = end;
  });
  const indexed = (split: { files: string[]; labels: number[] }) => ({
    files: split.files,
    labels: Int32Array.from(split.labels),
  });
  return { classNames, splits: { train: indexed(splits.train), test: indexed(splits.test) } };
}

const emptySplit = () => ({ files: [] as string[], labels: [] as number[] });

/** The folder of the classes, where a share of the training images is held out. */
export function trainingFolderOf(root: string): string {
  const train = join(root, 'train');
  return existsSync(train) ? train : root;
}

/**
 * Lists the test images alone, for a model that knows these classes: `train` need not be there, nor every class.
 *
 * @throws UserError as `indexImages`; `CHECKPOINT_MISMATCH` naming the classes that the model does not know
 */
export async function indexTestImages(
  root: string,
  classNames: readonly string[],
  options: IndexOptions = {},
): Promise<ImageIndex> {
  const fault = faultsOf(options);
  const folder = await testFolderOf(root, options);
  const listedFolders = await classFolders(folder, fault);
  const known = new Map(classNames.map((name) => [name.normalize('NFC'), name]));
  const leaveOut = options.otherClasses === 'leave-out';
  const found = leaveOut ? matched(listedFolders, [...known.keys()], options) : listedFolders;
  const strange = [...found.keys()].filter((name) => !known.has(name));
  if (strange.length === found.size && leaveOut)
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `${folder} has no class that the checkpoint knows: it has ${listed(strange)}, the checkpoint knows ${listed(classNames)}`,
    );
  if (strange.length > 0 && leaveOut)
    options.notify?.(`${folder}: ${listed(strange)} are left out: the checkpoint does not know them`);
  if (strange.length > 0 && !leaveOut) {
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `${folder} has classes that the checkpoint does not know: ${listed(strange)}; it knows ${listed(classNames)}`,
    );
  }
  const missing = [...known.keys()].filter((name) => !found.has(name));
  if (missing.length > 0)
    options.notify?.(`${folder} has no images of ${listed(missing)}: the evaluation is of the other classes`);
  const test = await indexSplit([...known.keys()], found, { ...options, onFault: fault });
  return { classNames, splits: { train: { files: [], labels: new Int32Array(0) }, test } };
}

/**
 * Class folders by the names of the classes that are known, where their own names differ in case, spaces, dashes and underscores
 * alone, which a line says; those of other classes by their own names.
 */
function matched(folders: ClassFolders, known: readonly string[], { notify }: IndexOptions): ClassFolders {
  const plain = (name: string) => name.toLowerCase().replaceAll(/[\s_-]+/g, '');
  const byPlain = new Map(known.map((name) => [plain(name), name]));
  const all = new Map<string, string>();
  for (const [name, folder] of folders) {
    const same = known.includes(name) ? name : byPlain.get(plain(name));
    const taken = same !== undefined && same !== name && (folders.has(same) || all.has(same));
    if (same !== undefined && same !== name && !taken) notify?.(`${folder} is taken for the class ${same}`);
    all.set(same === undefined || taken ? name : same, folder);
  }
  return all;
}

async function indexSplit(
  classNames: readonly string[],
  folders: ClassFolders,
  options: IndexOptions,
): Promise<SplitIndex> {
  const progress = new SlowNotice('listing images', options.notify ?? (() => {}));
  let listedImages = 0;
  const byClass = await mapAtMost(16, classNames, async (name) => {
    const folder = folders.get(name);
    const files = folder === undefined ? [] : await imagesIn(folder, folderLayout, options);
    progress.update((listedImages += files.length));
    return files;
  });
  return { files: byClass.flat(), labels: labelsOf(byClass) };
}

/** The class of each image, where `byClass` holds the images of each class. */
export function labelsOf(byClass: readonly (readonly string[])[]): Int32Array {
  const labels = new Int32Array(byClass.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  byClass.forEach(({ length }, label) => labels.fill(label, at, (at += length)));
  return labels;
}

/** The class folders in `folder`, sorted by class. */
export async function classFolders(
  folder: string,
  fault: (error: UserError) => void,
  layout = folderLayout,
): Promise<ClassFolders> {
  const found = new Map<string, string>();
  let entries: Entry[];
  try {
    entries = await listVisible(folder, `data.root must hold ${layout}`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    fault(error);
    return found;
  }
  const folders = entries.filter(({ kind }) => kind === 'folder');
  if (folders.length === 0) {
    const advice = `put images into ${join(folder, '<class>')}/*.jpg`;
    fault(new UserError('DATA_INVALID', `${folder} holds no class folders: ${advice}`));
  }
  if (folders.length > mostClasses) {
    throw new UserError(
      'DATA_INVALID',
      `${folder} holds ${folders.length} folders, a data set has at most ${mostClasses} classes`,
    );
  }
  for (const { name, path, kind, problem } of entries) {
    const className = name.normalize('NFC');
    const earlier = found.get(className);
    if (kind === 'unusable') fault(new UserError('DATA_INVALID', `${path} ${problem}`));
    else if (kind === 'file' && isImage(name) && folders.length > 0)
      fault(new UserError('DATA_INVALID', `${path} is in no class: move it into a class folder`));
    else if (kind === 'folder' && earlier !== undefined)
      fault(new UserError('DATA_INVALID', `${path} and ${earlier} are one class by name: merge them`));
    else if (kind === 'folder') found.set(className, path);
  }
  return found;
}

/** The image files in `folder`, sorted. */
export async function imagesIn(
  folder: string,
  layout = folderLayout,
  options: IndexOptions = {},
): Promise<string[]> {
  const fault = faultsOf(options);
  let entries: Entry[];
  try {
    entries = await listVisible(folder, `data.root must hold ${layout}`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    fault(error);
    return [];
  }
  const images: string[] = [];
  for (const { name, path, kind, problem } of entries) {
    if (kind === 'unusable') fault(new UserError('DATA_INVALID', `${path} ${problem}`));
    else if (kind === 'folder' || !isImage(name)) fault(noImage(path));
    else images.push(path);
  }
  if (entries.length === 0) fault(new UserError('DATA_INVALID', `${folder} holds no ${imageKinds} images`));
  return images;
}

/**
 * Lists images of no class, such as those of `evaluation.unknown`: all in `root`, then folder by folder in it.
 *
 * @throws UserError as `indexImages`
 */
export async function indexUnclassed(root: string): Promise<ImageIndex> {
  const needs = `evaluation.unknown must hold ${imageKinds} images, in folders or not`;
  const files = await imagesBelow(root, needs, ({ file, reason, kind }) => {
    if (kind === 'other') throw noImage(file);
    if (kind === 'unusable') throw new UserError('DATA_INVALID', `${file} ${reason}`);
  });
  if (files.length === 0) throw new UserError('DATA_INVALID', `${root} holds no ${imageKinds} images`);
  const none = { files: [], labels: new Int32Array(0) };
  return { classNames: [], splits: { train: none, test: { files, labels: new Int32Array(files.length) } } };
}

/** Some names in words, the first ones of many. */
export function listed(names: readonly string[]): string {
  const rest = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return `${names.slice(0, 5).join(', ')}${rest}`;
}

async function listVisible(folder: string, needs: string): Promise<Entry[]> {
  return (await listFolder(folder, needs)).filter(({ name }) => !isHidden(name));
}

function faultsOf({ onFault }: IndexOptions): (fault: UserError) => void {
  return (
    onFault ??
    ((fault) => {
      throw fault;
    })
  );
}

/** Anything but an image is an error: a misplaced file would be missed silently. */
function noImage(file: string): UserError {
  return new UserError('DATA_INVALID', `${file} is no ${imageKinds} image: move it out of the data set`);
}
