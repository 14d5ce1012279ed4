import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../util/errors.js';
import { readDataFile } from './read-file.js';
import type { StoredImages, StoredSplit } from './stored-images.js';

export type MnistName = 'mnist' | 'fashion-mnist';

const digits = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/** Class names; those of Fashion-MNIST from its own description (arXiv 1708.07747, table 2). */
const classNames: Record<MnistName, readonly string[]> = {
  mnist: digits,
  'fashion-mnist': [
    'T-shirt/top',
    'Trouser',
    'Pullover',
    'Dress',
    'Coat',
    'Sandal',
    'Shirt',
    'Sneaker',
    'Bag',
    'Ankle boot',
  ],
};

/**
 * Reads MNIST or Fashion-MNIST from its four idx files, each as it is or with the ending `.gz`.
 *
 * @throws UserError `DATA_NOT_FOUND` or `DATA_INVALID`, naming the file and what is wrong
 */
export async function readMnist(name: MnistName, root: string): Promise<StoredImages> {
  const train = await readMnistSplit(root, 'train', classNames[name].length);
  const test = await readMnistSplit(root, 't10k', classNames[name].length);
  const [height, width] = train.size;
  if (test.size.join() !== train.size.join()) {
    throw new UserError('DATA_INVALID', `${root}: training and test images differ in size: fetch it again`);
  }
  return {
    name,
    classNames: classNames[name],
    shape: [height, width, 1],
    white: 255,
    splits: { train, test },
  };
}

/** One split: `train` or, for the test images, `t10k`. */
export async function readMnistSplit(
  root: string,
  prefix: 'train' | 't10k',
  classes: number,
): Promise<StoredSplit & { size: readonly [number, number] }> {
  const imageFile = fileIn(root, `${prefix}-images-idx3-ubyte`);
  const labelFile = fileIn(root, `${prefix}-labels-idx1-ubyte`);
  const images = await readIdx(imageFile, 3);
  const { values, dimensions } = await readIdx(labelFile, 1);
  const [count, height, width] = images.dimensions;
  if (dimensions[0] !== count) {
    throw new UserError(
      'DATA_INVALID',
      `${labelFile} has ${dimensions[0]} labels for ${count} images: fetch it again`,
    );
  }
  const wrong = values.findIndex((label) => label >= classes);
  if (wrong >= 0) {
    throw new UserError(
      'DATA_INVALID',
      `${labelFile}: label ${values[wrong]} of image ${wrong} is no class: fetch it again`,
    );
  }
  return { pixels: images.values, labels: Int32Array.from(values), size: [height, width] };
}

/** Some copies have a dot instead of the last dash. */
function fileIn(root: string, name: string): string {
  const dotted = join(root, name.replace('-idx', '.idx'));
  return existsSync(dotted) || existsSync(`${dotted}.gz`) ? dotted : join(root, name);
}

/** More than any image set in this format; what a header says beyond it is not believed. */
const mostBytes = 2 ** 31;

/**
 * One idx file of bytes: two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as a
 * big-endian 32-bit integer, then the values with the last dimension fastest.
 */
async function readIdx(file: string, rank: number): Promise<{ values: Uint8Array; dimensions: number[] }> {
  const invalid = (what: string) => new UserError('DATA_INVALID', `${file} ${what}: fetch it again`);
  const header = 4 + 4 * rank;
  let dimensions: number[] = [];
  const wholeBytes = (head: Buffer) => {
    if (head.length < header || head.readUInt32BE(0) !== 0x0800 + rank)
      throw invalid(`is no idx file of bytes with ${rank} dimension${rank === 1 ? '' : 's'}`);
    dimensions = Array.from({ length: rank }, (_, index) => head.readUInt32BE(4 + 4 * index));
    const values = dimensions.reduce((product, dimension) => product * dimension, 1);
    if (values === 0 || values > mostBytes)
      throw invalid(`cannot be: its header says ${dimensions.join('x')}`);
    return header + values;
  };
  const bytes = await readDataFile(file, wholeBytes);
  if (bytes.length !== wholeBytes(bytes))
    throw invalid(`has ${bytes.length - header} bytes of values, its header says ${dimensions.join('x')}`);
  return { values: new Uint8Array(bytes.subarray(header)), dimensions };
}
