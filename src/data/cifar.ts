import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../util/errors.js';
import type { SplitName } from './dataset.js';
import { readDataFile, readNames } from './read-file.js';
import type { StoredImages, StoredSplit } from './stored-images.js';

export type CifarName = 'cifar10' | 'cifar100';

const side = 32;
const plane = side * side;
const imageBytes = 3 * plane;

/** The longest file, CIFAR-100's training images, holds so many. */
const mostImages = 50_000;

/** Files of the official binary archives; a record is `labelBytes` labels, of which the last counts, and 3,072 pixels. */
const layouts = {
  cifar10: {
    train: [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`),
    test: ['test_batch.bin'],
    names: 'batches.meta.txt',
    labelBytes: 1,
    classes: 10,
    folder: 'cifar-10-batches-bin',
  },
  cifar100: {
    train: ['train.bin'],
    test: ['test.bin'],
    names: 'fine_label_names.txt',
    labelBytes: 2,
    classes: 100,
    folder: 'cifar-100-binary',
  },
} as const;

/** Paths of an archive's files, in the folder of the archive or in the folder that holds that one. */
export function cifarFiles(name: CifarName, root: string): Record<SplitName, string[]> & { names: string } {
  const { folder, train, test, names } = layouts[name];
  const inner = join(root, folder);
  const path = (file: string) => join(existsSync(inner) ? inner : root, file);
  return { train: train.map(path), test: test.map(path), names: path(names) };
}

/**
 * Reads CIFAR-10 or CIFAR-100 as its official binary archive holds it. CIFAR-100's classes are the fine ones.
 *
 * @throws UserError `DATA_NOT_FOUND` or `DATA_INVALID`, naming the file and what is wrong
 */
export async function readCifar(name: CifarName, root: string): Promise<StoredImages> {
  const files = cifarFiles(name, root);
  const classNames = await readCifarNames(name, files.names);
  const read = async (paths: readonly string[]) =>
    joined(await Promise.all(paths.map((file) => readCifarFile(name, file))));
  const splits = { train: await read(files.train), test: await read(files.test) };
  return { name, classNames, shape: [side, side, 3], white: 255, splits };
}

/** Class names, one a line. */
export async function readCifarNames(name: CifarName, file: string): Promise<string[]> {
  const { classes } = layouts[name];
  const names = await readNames(file);
  if (names.length === classes) return names;
  throw new UserError(
    'DATA_INVALID',
    `${file} names ${names.length} classes, not ${classes}: fetch the data set again`,
  );
}

/** The records of one file; the three colour planes of each image become pixels of three bytes. */
export async function readCifarFile(name: CifarName, file: string): Promise<StoredSplit> {
  const { labelBytes, classes } = layouts[name];
  const recordBytes = labelBytes + imageBytes;
  const bytes = await readDataFile(file, mostImages * recordBytes);
  const images = bytes.length / recordBytes;
  if (images === 0 || !Number.isInteger(images)) {
    throw new UserError(
      'DATA_INVALID',
      `${file} has ${bytes.length} bytes, no whole number of ${recordBytes}-byte images: fetch it again`,
    );
  }
  const pixels = new Uint8Array(images * imageBytes);
  const labels = new Int32Array(images);
  let to = 0;
  for (let image = 0; image < images; image++) {
    const start = image * recordBytes + labelBytes;
    const label = bytes[start - 1];
    if (label >= classes) {
      throw new UserError(
        'DATA_INVALID',
        `${file}: image ${image} has label ${label}, classes are 0 to ${classes - 1}: fetch it again`,
      );
    }
    labels[image] = label;
    for (let pixel = start; pixel < start + plane; pixel++) {
      pixels[to++] = bytes[pixel];
      pixels[to++] = bytes[pixel + plane];
      pixels[to++] = bytes[pixel + 2 * plane];
    }
  }
  return { pixels, labels };
}

function joined(parts: readonly StoredSplit[]): StoredSplit {
  const images = parts.reduce((sum, { labels }) => sum + labels.length, 0);
  const whole = { pixels: new Uint8Array(images * imageBytes), labels: new Int32Array(images) };
  let image = 0;
  for (const { pixels, labels } of parts) {
    whole.pixels.set(pixels, image * imageBytes);
    whole.labels.set(labels, image);
    image += labels.length;
  }
  return whole;
}
