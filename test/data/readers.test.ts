import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { type DataConfig } from '../../src/config/schema.js';
import type { Batch, Dataset, SplitName } from '../../src/data/dataset.js';
import { openDataset, datasets } from '../../src/data/index.js';
import { idx, pixelAt, writeCifar10, writeCifar100, writeMnist, writeTinyImageNet } from './samples.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const open = (config: object) =>
  openDataset(datasets.schema.parse(config) as DataConfig, { seed: 1, threads: 1 });

async function readAll(dataset: Dataset, split: SplitName): Promise<Batch> {
  const indices = Int32Array.from(dataset.labels[split].keys());
  for await (const batch of dataset.read({ split, batches: [indices], epoch: 0 })) return batch;
  throw new Error('no batch');
}

const invalid = (message: RegExp) => ({ name: 'UserError', message: expect.stringMatching(message) });

describe('the CIFAR readers', () => {
  it('read the files of CIFAR-10 in order, and turn colour planes into pixels', async () => {
    const root = join(folder, 'cifar10');
    writeCifar10(root);
    const dataset = await open({ name: 'cifar10', root });
    expect(dataset.shape).toEqual([32, 32, 3]);
    expect(dataset.classNames.slice(0, 2)).toEqual(['airplane', 'automobile']);
    expect([...dataset.labels.train]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([...dataset.labels.test]).toEqual([9, 8, 7]);
    const { images } = await readAll(dataset, 'train');
    for (const [image, x, y, channel] of [
      [0, 0, 0, 0],
      [3, 5, 1, 1],
      [9, 31, 31, 2],
    ]) {
      const value = images[image * 3072 + (y * 32 + x) * 3 + channel];
      expect(Math.round(value * 255)).toBe(pixelAt(image, x, y, channel));
    }
  });

  it("read CIFAR-100 with its fine labels, from the archive's parent folder", async () => {
    writeCifar100(join(folder, 'cifar100', 'cifar-100-binary'));
    const dataset = await open({ name: 'cifar100', root: join(folder, 'cifar100') });
    expect([...dataset.labels.train]).toEqual([99, 3, 42, 0]);
    expect(dataset.classNames).toHaveLength(100);
    const { images, labels } = await readAll(dataset, 'test');
    expect([...labels]).toEqual([7, 8]);
    expect(Math.round(images[3072 + 33 * 3 + 2] * 255)).toBe(pixelAt(1, 1, 1, 2));
  });

  it('report a file that is truncated, has an unknown label, or is missing', async () => {
    const root = join(folder, 'broken10');
    writeCifar10(root);
    const file = join(root, 'data_batch_3.bin');
    const whole = readFileSync(file);
    truncateSync(file, 3073 + 100);
    await expect(open({ name: 'cifar10', root })).rejects.toMatchObject(
      invalid(/data_batch_3\.bin has 3173 bytes, no whole number of 3073-byte images/),
    );
    whole[3073] = 10;
    writeFileSync(file, whole);
    await expect(open({ name: 'cifar10', root })).rejects.toMatchObject(
      invalid(/data_batch_3\.bin: image 1 has label 10, classes are 0 to 9/),
    );
    rmSync(file);
    await expect(open({ name: 'cifar10', root })).rejects.toMatchObject(
      invalid(/no file .*data_batch_3\.bin/),
    );
  });
});

describe('the MNIST readers', () => {
  it('read idx files, plain and compressed', async () => {
    const root = join(folder, 'mnist');
    writeMnist(root);
    const dataset = await open({ name: 'mnist', root });
    expect(dataset.shape).toEqual([4, 5, 1]);
    expect([...dataset.labels.train]).toEqual([5, 0, 4]);
    const { images, labels } = await readAll(dataset, 'test');
    expect([...labels]).toEqual([7, 2]);
    expect(Math.round(images[20 + 2 * 5 + 4] * 255)).toBe(pixelAt(4, 4, 2, 0));
    const fashion = await open({ name: 'fashion-mnist', root });
    expect(fashion.classNames[9]).toBe('Ankle boot');
  });

  it('report a file with a wrong header, length or label', async () => {
    const root = join(folder, 'broken-mnist');
    writeMnist(root);
    const images = join(root, 't10k-images-idx3-ubyte');
    const labels = join(root, 't10k-labels-idx1-ubyte');
    const attempt = () => open({ name: 'mnist', root });
    writeFileSync(labels, idx([3], [1, 2, 3]));
    await expect(attempt()).rejects.toMatchObject(invalid(/t10k-labels.* has 3 labels for 2 images/));
    writeFileSync(labels, idx([2], [1, 10]));
    await expect(attempt()).rejects.toMatchObject(invalid(/label 10 of image 1 is no class/));
    appendFileSync(images, 'x');
    await expect(attempt()).rejects.toMatchObject(invalid(/has more than the 56 bytes that it may/));
    writeFileSync(images, 'not idx');
    await expect(attempt()).rejects.toMatchObject(invalid(/no idx file of bytes with 3 dimensions/));
    writeFileSync(join(root, 'train-images-idx3-ubyte.gz'), 'not gzip');
    await expect(attempt()).rejects.toMatchObject(invalid(/train-images-idx3-ubyte\.gz cannot be read/));
  });
});

describe('the Tiny ImageNet reader', () => {
  it('reads its folder layout, with the validation annotations as test labels', async () => {
    const root = join(folder, 'tiny');
    await writeTinyImageNet(join(root, 'tiny-imagenet-200'));
    const dataset = await open({ name: 'tiny-imagenet', root, cache: { diskMegabytes: 0 } });
    expect(dataset.shape).toEqual([64, 64, 3]);
    expect(dataset.classNames).toEqual(['n01443537', 'n07753592']);
    expect([...dataset.labels.train]).toEqual([0, 0, 1, 1]);
    expect([...dataset.labels.test]).toEqual([1, 0]);
    const train = await readAll(dataset, 'train');
    const test = await readAll(dataset, 'test');
    await dataset.close();
    const grey = train.images.subarray(3 * 64 * 64, 3 * 64 * 64 + 3);
    for (const value of grey) expect(Math.round(value * 255)).toBe(128);
    expect(Math.abs(test.images[3 * 64 * 64] * 255 - 250)).toBeLessThan(3);
  });

  it('reports an image without a class, a class without a folder, and a missing image', async () => {
    const root = join(folder, 'broken-tiny');
    await writeTinyImageNet(root);
    const annotations = join(root, 'val', 'val_annotations.txt');
    const text = readFileSync(annotations, 'utf8');
    const attempt = () => open({ name: 'tiny-imagenet', root, cache: { diskMegabytes: 0 } });
    writeFileSync(annotations, text.replace(/val_1.*\n/, ''));
    await expect(attempt()).rejects.toMatchObject(invalid(/val_1\.JPEG has no line in .*val_annotations/));
    writeFileSync(annotations, text.replace('n01443537', 'n00000000'));
    await expect(attempt()).rejects.toMatchObject(
      invalid(/val_annotations\.txt:2: n00000000 is no class folder/),
    );
    writeFileSync(annotations, `${text}val_2.JPEG\tn01443537\t0\t0\t1\t1\n`);
    await expect(attempt()).rejects.toMatchObject(invalid(/val_2\.JPEG is missing/));
  });
});

describe('readers reject, without inflating all of it,', () => {
  const zeros = gzipSync(Buffer.alloc(2 ** 28), { level: 1 });
  const bomb = (head: Buffer) => Buffer.concat([gzipSync(head), zeros]);
  const header = (...numbers: number[]) => {
    const bytes = Buffer.alloc(4 * numbers.length);
    numbers.forEach((number, index) => bytes.writeUInt32BE(number, 4 * index));
    return bytes;
  };

  it.each([
    ['a header of few images', header(0x0803, 10, 28, 28), /more than the 7856 bytes that it may/],
    [
      'a header of more images than the file has',
      header(0x0803, 2 ** 32 - 1, 9999, 9999),
      /its header says 4294967295x/,
    ],
    ['no header', Buffer.alloc(0), /is no idx file/],
  ])('a compressed idx file of 256 MiB with %s', async (_what, head, message) => {
    const root = join(folder, 'bomb-idx');
    rmSync(root, { recursive: true, force: true });
    writeMnist(root);
    rmSync(join(root, 'train-images-idx3-ubyte'), { force: true });
    writeFileSync(join(root, 'train-images-idx3-ubyte.gz'), bomb(head));
    const before = process.memoryUsage().rss;
    await expect(open({ name: 'mnist', root })).rejects.toMatchObject(invalid(message));
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 26);
  });

  it('compressed CIFAR images and class names of 256 MiB', async () => {
    const root = join(folder, 'bomb-cifar');
    writeCifar10(root);
    rmSync(join(root, 'data_batch_2.bin'));
    writeFileSync(join(root, 'data_batch_2.bin.gz'), bomb(Buffer.alloc(0)));
    await expect(open({ name: 'cifar10', root })).rejects.toMatchObject(
      invalid(/data_batch_2\.bin\.gz has more than the 153650000 bytes/),
    );
    rmSync(join(root, 'batches.meta.txt'));
    writeFileSync(join(root, 'batches.meta.txt.gz'), bomb(Buffer.from('airplane\n')));
    await expect(open({ name: 'cifar10', root })).rejects.toMatchObject(
      invalid(/batches\.meta\.txt\.gz has more than the 1048576 bytes/),
    );
  });

  it('a device in place of a file', async () => {
    const root = join(folder, 'bomb-device');
    writeCifar10(root);
    rmSync(join(root, 'data_batch_2.bin'));
    symlinkSync('/dev/zero', join(root, 'data_batch_2.bin'));
    await expect(open({ name: 'cifar10', root })).rejects.toMatchObject(
      invalid(/it is a device, not a file/),
    );
  });
});
