import { joinS3 } from '../s3/address.js';
import { listObjects } from '../s3/objects.js';
import { UserError } from '../util/errors.js';
import type { SplitName } from './dataset.js';
import { imageKinds, isImage } from './find-images.js';
import { largestFile } from './image-file.js';
import type { ImageIndex } from './image-index.js';
import { isHidden } from './list-folder.js';
import { indexPlaced, type PlacedOptions, type PlacedSplit } from './placed-index.js';

/** Settings of an image folder that say which objects are its images. */
export interface BucketFolder {
  /** Such as `s3://bucket/prefix`. */
  root: string;
  testSplit?: string;
  holdOut: number;
  otherClasses?: 'refuse' | 'leave-out';
}

/**
 * Lists an image folder in a bucket, `<root>/train/<class>/*` and `<root>/test/<class>/*` (or `val`), in the order that a
 * folder on a disk has.
 *
 * @throws UserError `DATA_INVALID`, naming the object that is no image or in no class; else as `indexPlaced`
 */
export async function indexBucketFolder(
  { root, testSplit, holdOut, otherClasses }: BucketFolder,
  options: Omit<PlacedOptions, 'holdOut' | 'otherClasses'>,
): Promise<ImageIndex> {
  if (holdOut > 0 && testSplit !== undefined)
    throw new UserError(
      'CONFIG_INVALID',
      `data.holdOut is ${holdOut}, and data.testSplit names ${testSplit}: give one of them`,
    );
  const { folders } = await listObjects(root, { flat: true });
  const folderOf = (split: SplitName) => {
    if (split === 'train') return holdOut > 0 && !folders.includes('train') ? root : joinS3(root, 'train');
    return joinS3(root, testSplit ?? (folders.includes('test') || !folders.includes('val') ? 'test' : 'val'));
  };
  const read = (split: SplitName) => readFolder(folderOf(split), options);
  return indexPlaced({ root, read, sort: (names) => names.sort() }, { ...options, holdOut, otherClasses });
}

async function readFolder(folder: string, { onFault }: Pick<PlacedOptions, 'onFault'>): Promise<PlacedSplit> {
  const fault = (problem: string) => {
    const error = new UserError('DATA_INVALID', problem);
    if (!onFault) throw error;
    onFault(error);
  };
  const { objects } = await listObjects(folder);
  const start = joinS3(folder, '').length;
  const found = objects.flatMap((object) => {
    const names = object.path.slice(start).split('/');
    const [className = '', name = ''] = names;
    if (names.some(isHidden)) return [];
    if (names.length === 1) fault(`${object.path} is in no class: move it into a class folder`);
    else if (names.length > 2 || !isImage(name))
      fault(`${object.path} is no ${imageKinds} image of a class folder: move it out of the data set`);
    else if (object.bytes > largestFile) fault(`${object.path} has ${object.bytes} bytes`);
    else return [{ object, name, className: className.normalize('NFC') }];
    return [];
  });
  if (found.length === 0)
    throw new UserError('DATA_NOT_FOUND', `${folder} holds no ${imageKinds} images in class folders`);
  found.sort((a, b) => order(a.className, b.className) || order(a.name, b.name));
  return {
    containers: found.map(({ object }) => object),
    images: found.map(({ object, className }, container) => ({
      ...{ file: object.path, className, container },
      ...{ offset: 0, size: object.bytes },
    })),
  };
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
