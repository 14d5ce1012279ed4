import { UserError } from '../../util/errors.js';
import { largestFile } from '../image-file.js';
import type { ImageContainer, ContainerReader } from '../places/container.js';
import { tarEntries, type TarEntry } from './tar-entries.js';

/** The image of a sample, and its class. */
export interface Sample {
  /** Name of the image in its shard. */
  name: string;
  offset: number;
  size: number;
  className: string;
}

const imageEndings = new Set(['jpg', 'jpeg', 'png', 'webp']);
/** Bytes of a class, and of the description of a sample, at most. */
const mostClassBytes = 4096;
const mostJsonBytes = 2 ** 24;

/**
 * The samples of a shard in their order. A sample is the files in a row whose names are equal up to the first dot after
 * the folders; what follows that dot says what a file is: `jpg`, `jpeg`, `png` or `webp` the image, `cls` the class, or
 * `json` a description in which `classKey` is the class. Other files are passed over.
 *
 * @throws UserError `DATA_INVALID`, naming shard and sample: no image, two of them, no class, or one that cannot be read
 */
export async function samplesOf(
  shard: ImageContainer,
  reader: ContainerReader,
  { classKey, window }: { classKey?: string; window: number },
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const keys = new Set<string>();
  let current: Partial<Sample> & { key: string } = { key: '' };
  const fault = (reason: string) =>
    new UserError('DATA_INVALID', `${shard.path}: the sample ${current.key} ${reason}`);
  const finish = () => {
    const { key, name, offset = 0, size = 0, className } = current;
    if (key === '') return;
    if (name === undefined) throw fault('has no image (.jpg, .jpeg, .png or .webp): take it out');
    if (className === undefined)
      throw fault(
        classKey === undefined
          ? 'has no class, which is a file .cls: add it, or say data.classKey where it is in .json'
          : 'has no file .json with its class: add it',
      );
    samples.push({ name, offset, size, className });
  };
  for await (const entry of tarEntries(shard, reader, window)) {
    const { key, ending } = partsOf(entry.name);
    if (ending === undefined) continue;
    if (key !== current.key) {
      finish();
      current = { key };
      if (keys.has(key)) throw fault('is there twice, or its files do not follow each other: make it one');
      keys.add(key);
    }
    if (imageEndings.has(ending)) {
      if (current.name !== undefined) throw fault(`has two images, ${current.name} and ${entry.name}`);
      if (entry.size > largestFile) throw fault(`has an image of ${entry.size} bytes`);
      Object.assign(current, { name: entry.name, offset: entry.offset, size: entry.size });
    } else if (classKey === undefined ? ending === 'cls' : ending === 'json') {
      if (current.className !== undefined) throw fault(`has two files .${ending}`);
      current.className =
        classKey === undefined ? await plainClass(entry, fault) : await jsonClass(entry, classKey, fault);
    }
  }
  finish();
  if (samples.length === 0)
    throw new UserError('DATA_INVALID', `${shard.path} holds no samples: put images and classes into it`);
  return samples;
}

/** Key and ending of a file; folders belong to the key. Hidden files, and files without an ending, are of no sample. */
function partsOf(name: string): { key: string; ending?: string } {
  const [, key = '', ending] = /^((?:.*\/)?[^./][^./]*)\.([^/]*)$/s.exec(name) ?? [];
  return { key, ending: ending?.toLowerCase() };
}

type Fault = (reason: string) => UserError;

async function plainClass(entry: TarEntry, fault: Fault): Promise<string> {
  if (entry.size > mostClassBytes) throw fault(`has a class of ${entry.size} bytes`);
  return classNamed((await entry.content()).toString('utf8').trim(), fault);
}

async function jsonClass(entry: TarEntry, classKey: string, fault: Fault): Promise<string> {
  if (entry.size > mostJsonBytes) throw fault(`has a description of ${entry.size} bytes`);
  let described: Readonly<Record<string, unknown>>;
  try {
    described = Object(JSON.parse((await entry.content()).toString('utf8'))) as typeof described;
  } catch {
    throw fault('has a file .json that is no JSON');
  }
  const found = Object.hasOwn(described, classKey) ? described[classKey] : undefined;
  if (typeof found !== 'string' && typeof found !== 'number')
    throw fault(`has no class ${classKey} in its .json: data.classKey names a number or a text there`);
  return classNamed(String(found), fault);
}

function classNamed(text: string, fault: Fault): string {
  const name = text.normalize('NFC');
  if (name === '' || name.length > 1000 || /[\p{Cc}]/u.test(name)) throw fault('has a class that is no name');
  return name;
}
