import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { messageOf, UserError } from '../util/errors.js';
import { isHidden, isLeftover, listFolder } from './list-folder.js';

const imageExtensions = new Set(['.jpg', '.jpeg', '.png', '.webp']);
/** The endings in words. */
export const imageKinds = '.jpg, .png or .webp';

/** The name of standard input in a list of files. */
export const standardInput = '-';

/** Paths that name it. */
const standardInputs: readonly string[] = [standardInput, '/dev/stdin'];

/** Something in a folder that is not among its images. */
export interface LeftOut {
  file: string;
  /** Why, as the rest of a sentence about it. */
  reason: string;
  /** Hidden or of another kind as its name says, or: an image or folder that cannot be used. */
  kind: 'hidden' | 'other' | 'repeated' | 'unusable';
}

export interface FoundImages {
  files: string[];
  leftOut: LeftOut[];
}

/**
 * The image files that paths name: files as they are, folders with every image below them, `-` for standard input. A
 * path that is not there stays in the list, so that reading it says so in its turn.
 *
 * @throws UserError `USAGE` for an address, `NO_IMAGES` for a folder without images, `DATA_NOT_FOUND` for one that
 * cannot be read
 */
export async function findImages(paths: readonly string[]): Promise<FoundImages> {
  const found: FoundImages = { files: [], leftOut: [] };
  for (const path of paths) {
    refuseAddress(path);
    if (standardInputs.includes(path)) {
      found.files.push(standardInput);
      continue;
    }
    const about = await stat(path).catch(() => undefined);
    if (about?.isDirectory()) await addFolder(path, found);
    else found.files.push(path);
  }
  return found;
}

/**
 * The images in a folder, then those of each folder in it, all in the order of their names. Links are followed; a
 * folder that has been listed already, such as one that a link leads back to, is not listed again.
 */
export async function imagesBelow(
  root: string,
  needs: string,
  onLeftOut: (left: LeftOut) => void,
): Promise<string[]> {
  const images: string[] = [];
  const seen = new Map<string, string>();
  const visit = async (folder: string): Promise<void> => {
    const entries = await listFolder(folder, needs);
    const { dev, ino } = await stat(folder, { bigint: true });
    const first = seen.get(`${dev}:${ino}`);
    if (first !== undefined)
      return onLeftOut({ file: folder, reason: `is the folder ${first}, listed already`, kind: 'repeated' });
    seen.set(`${dev}:${ino}`, folder);
    const folders: string[] = [];
    for (const { name, path, kind, problem } of entries) {
      if (isHidden(name)) {
        if (!isLeftover(name)) onLeftOut({ file: path, reason: 'is hidden', kind: 'hidden' });
      } else if (kind === 'folder') folders.push(path);
      else if (kind === 'unusable') onLeftOut({ file: path, reason: problem, kind });
      else if (isImage(name)) images.push(path);
      else onLeftOut({ file: path, reason: `is no ${imageKinds} image`, kind: 'other' });
    }
    for (const inner of folders) {
      try {
        await visit(inner);
      } catch (error) {
        onLeftOut({ file: inner, reason: `cannot be read (${messageOf(error)})`, kind: 'unusable' });
      }
    }
  };
  await visit(root);
  return images;
}

/** Whether the name is that of an image file. */
export function isImage(name: string): boolean {
  return imageExtensions.has(extname(name).toLowerCase());
}

async function addFolder(folder: string, { files, leftOut }: FoundImages): Promise<void> {
  const needs = 'give folders that can be read';
  const others = leftOut.length;
  const images = await imagesBelow(folder, needs, (left) => leftOut.push(left));
  if (images.length === 0) {
    const [first] = leftOut.slice(others);
    const about = first ? ` (${first.file} ${first.reason})` : '';
    throw new UserError('NO_IMAGES', `${folder} holds no ${imageKinds} images${about}`);
  }
  for (const image of images) files.push(image);
}

function refuseAddress(path: string): void {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) return;
  throw new UserError(
    'USAGE',
    `${path} is an address, and predict reads files: fetch it first, as in: curl -sSL ${path} | pod-dist predict --checkpoint ... -`,
  );
}
