import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { readCifarFile } from '../../../src/data/cifar.js';
import type { StoredSplit } from '../../../src/data/stored-images.js';
import { readMnistSplit } from '../../../src/data/mnist.js';
import { idx, writeCifar10, writeCifar100 } from '../../data/samples.js';
import { Broken, type Target } from '../judge.js';
import { mutated } from '../mutations.js';

const imageFile = 'train-images-idx3-ubyte';
const labelFile = 'train-labels-idx1-ubyte';
const imageSamples = [idx([3, 4, 5], pixels(60)), idx([3, 1, 1], pixels(3)), idx([1, 28, 28], pixels(784))];
const labelSamples = [idx([3], [5, 0, 4]), idx([1], [9])];

interface IdxFiles {
  images: Buffer;
  labels: Buffer;
  compressed: boolean;
}

/** MNIST's files of images and labels, uncompressed and compressed. */
export const idxFiles: Target<IdxFiles> = {
  name: 'idx',
  codes: ['DATA_INVALID', 'DATA_NOT_FOUND'],
  inputs: fc.oneof(
    fc.record({
      images: mutated(imageSamples, { most: 3 }),
      labels: mutated(labelSamples, { most: 2 }),
      compressed: fc.constant(false),
    }),
    fc.record({
      images: mutated(
        imageSamples.map((sample) => gzipSync(sample)),
        { most: 2 },
      ),
      labels: mutated(
        labelSamples.map((sample) => gzipSync(sample)),
        { most: 2 },
      ),
      compressed: fc.constant(true),
    }),
    fc.record({
      images: mutated(imageSamples, { most: 2 }).map((bytes) => gzipSync(bytes)),
      labels: mutated(labelSamples, { most: 1 }).map((bytes) => gzipSync(bytes)),
      compressed: fc.constant(true),
    }),
  ),
  async read({ images, labels, compressed }, folder) {
    const ending = compressed ? '.gz' : '';
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    writeFileSync(join(folder, `${imageFile}${ending}`), images);
    writeFileSync(join(folder, `${labelFile}${ending}`), labels);
    const split = await readMnistSplit(folder, 'train', 10);
    const [height, width] = split.size;
    checkSplit(split, height * width, 10);
  },
};

interface CifarFile {
  name: 'cifar10' | 'cifar100';
  bytes: Buffer;
}

let cifarInputs: fc.Arbitrary<CifarFile>;

/** A file of CIFAR-10 or CIFAR-100. */
export const cifar: Target<CifarFile> = {
  name: 'cifar',
  codes: ['DATA_INVALID', 'DATA_NOT_FOUND'],
  prepare(folder) {
    writeCifar10(join(folder, 'ten'));
    writeCifar100(join(folder, 'hundred'));
    const ten = mutated([readFileSync(join(folder, 'ten', 'test_batch.bin'))], { most: 3 });
    const hundred = mutated([readFileSync(join(folder, 'hundred', 'test.bin'))], { most: 3 });
    cifarInputs = fc.oneof(
      ten.map((bytes) => ({ name: 'cifar10' as const, bytes })),
      hundred.map((bytes) => ({ name: 'cifar100' as const, bytes })),
    );
  },
  get inputs() {
    return cifarInputs;
  },
  async read({ name, bytes }, folder) {
    const file = join(folder, 'file.bin');
    writeFileSync(file, bytes);
    checkSplit(await readCifarFile(name, file), 3072, name === 'cifar10' ? 10 : 100);
  },
};

function checkSplit({ pixels, labels }: StoredSplit, imageBytes: number, classes: number): void {
  if (labels.length === 0 || pixels.length !== labels.length * imageBytes)
    throw new Broken(`${pixels.length} bytes of pixels for ${labels.length} images of ${imageBytes}`);
  const wrong = labels.find((label) => !(label >= 0 && label < classes));
  if (wrong !== undefined) throw new Broken(`a label ${wrong} of ${classes} classes`);
}

function pixels(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index % 256);
}
