import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';

/** Level of a pixel, which depends on image, position and channel. */
export function pixelAt(image: number, x: number, y: number, channel: number): number {
  return (image * 31 + x * 7 + y * 13 + channel * 101) % 256;
}

function cifarRecord(image: number, labels: readonly number[]): Buffer {
  const bytes = [...labels];
  for (let channel = 0; channel < 3; channel++)
    for (let y = 0; y < 32; y++) for (let x = 0; x < 32; x++) bytes.push(pixelAt(image, x, y, channel));
  return Buffer.from(bytes);
}

const cifar10Names = 'airplane automobile bird cat deer dog frog horse ship truck'.split(' ');

/** Writes five training files of two images, and three test images; training image i has class i modulo 10. */
export function writeCifar10(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (let batch = 1; batch <= 5; batch++) {
    const images = [2 * batch - 2, 2 * batch - 1].map((image) => cifarRecord(image, [image % 10]));
    writeFileSync(join(folder, `data_batch_${batch}.bin`), Buffer.concat(images));
  }
  const test = [0, 1, 2].map((image) => cifarRecord(100 + image, [9 - image]));
  writeFileSync(join(folder, 'test_batch.bin'), Buffer.concat(test));
  writeFileSync(join(folder, 'batches.meta.txt'), `${cifar10Names.join('\n')}\n\n`);
}

/** Writes four training and two test images, each with a coarse label before the fine one. */
export function writeCifar100(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const file = (fine: readonly number[]) =>
    Buffer.concat(fine.map((label, image) => cifarRecord(image, [label % 20, label])));
  writeFileSync(join(folder, 'train.bin'), file([99, 3, 42, 0]));
  writeFileSync(join(folder, 'test.bin'), file([7, 8]));
  writeFileSync(
    join(folder, 'fine_label_names.txt'),
    Array.from({ length: 100 }, (_, label) => `fine${label}\n`).join(''),
  );
}

/** An idx file of bytes. */
export function idx(dimensions: readonly number[], values: readonly number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header.writeUInt8(8, 2);
  header.writeUInt8(dimensions.length, 3);
  dimensions.forEach((dimension, index) => header.writeUInt32BE(dimension, 4 + 4 * index));
  return Buffer.concat([header, Buffer.from(values)]);
}

/** Writes three training images of 5x4 pixels, compressed, and two test images, uncompressed. */
export function writeMnist(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const images = (first: number, count: number) => {
    const values: number[] = [];
    for (let image = first; image < first + count; image++)
      for (let y = 0; y < 4; y++) for (let x = 0; x < 5; x++) values.push(pixelAt(image, x, y, 0));
    return idx([count, 4, 5], values);
  };
  writeFileSync(join(folder, 'train-images-idx3-ubyte.gz'), gzipSync(images(0, 3)));
  writeFileSync(join(folder, 'train-labels-idx1-ubyte.gz'), gzipSync(idx([3], [5, 0, 4])));
  writeFileSync(join(folder, 't10k-images-idx3-ubyte'), images(3, 2));
  writeFileSync(join(folder, 't10k-labels-idx1-ubyte'), idx([2], [7, 2]));
}

/** Writes an image of one colour, in the format of the file's ending. */
export async function writeImage(
  file: string,
  colour: { r: number; g: number; b: number },
  [width, height]: readonly [number, number] = [64, 64],
): Promise<void> {
  const image = sharp({ create: { width, height, channels: 3, background: colour } });
  await (/png$/i.test(file) ? image.png() : image.jpeg({ quality: 100 })).toFile(file);
}

/** Writes two classes with two training images and one validation image each; one training image is grey. */
export async function writeTinyImageNet(folder: string): Promise<void> {
  const classes = ['n01443537', 'n07753592'];
  for (const [label, name] of classes.entries()) {
    const images = join(folder, 'train', name, 'images');
    mkdirSync(images, { recursive: true });
    writeFileSync(join(folder, 'train', name, `${name}_boxes.txt`), '');
    for (const index of [0, 1]) {
      await writeImage(join(images, `${name}_${index}.JPEG`), { r: 200 * label, g: 100 * index, b: 50 });
    }
  }
  const grey = sharp({ create: { width: 64, height: 64, channels: 3, background: '#808080' } });
  await grey
    .toColourspace('b-w')
    .jpeg()
    .toFile(join(folder, 'train', classes[0], 'images', `${classes[0]}_1.JPEG`));
  const validation = join(folder, 'val', 'images');
  mkdirSync(validation, { recursive: true });
  await writeImage(join(validation, 'val_0.JPEG'), { r: 1, g: 2, b: 3 });
  await writeImage(join(validation, 'val_1.JPEG'), { r: 250, g: 2, b: 3 });
  writeFileSync(
    join(folder, 'val', 'val_annotations.txt'),
    `val_0.JPEG\t${classes[1]}\t0\t32\t44\t62\nval_1.JPEG\t${classes[0]}\t52\t55\t57\t59\n`,
  );
}
