import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { isS3 } from '../s3/address.js';
import { listObjects } from '../s3/objects.js';
import { messageOf, UserError } from '../util/errors.js';
import { pixelRulesSchema, type PixelRules } from './pixel-rules.js';
import { mapAtMost } from './budget.js';
import { indexBucketFolder } from './bucket-folder.js';
import { cifarFiles, readCifarFile, readCifarNames, type CifarName } from './cifar.js';
import type { SplitName } from './dataset.js';
import { placeOf } from './places/place.js';
import { probeImage } from './probe.js';
import { indexImages, type ImageIndex } from './image-index.js';
import { readMnistSplit } from './mnist.js';
import { indexShards } from './shards/webdataset.js';
import { indexTinyImageNet } from './tiny-imagenet.js';

export type DataFormat = CifarName | 'mnist' | 'tiny-imagenet' | 'image-folder' | 'webdataset';

/** Contents of one split, as far as they could be read. */
export interface SplitReport {
  images: number;
  /** Images of each class, in the order of the classes. */
  perClass: number[];
  /** Images of each size, by `width x height x channels`. */
  sizes: Record<string, number>;
}

export interface DataReport {
  format: DataFormat;
  classNames: string[];
  splits: Record<SplitName, SplitReport>;
  /** Each file that could not be read, with the reason; faults of the layout first. */
  broken: { file: string; problem: string }[];
  /** Findings that do not stop training. */
  warnings: string[];
}

export interface CheckOptions {
  /** Called with the number of files read so far. */
  onProgress?: OnFilesRead;
  /** Called with one line about work that takes long. */
  notify?(line: string): void;
  /** Folder of the test images in an image folder, as `data.testSplit`. */
  testSplit?: string;
  /** Entry of the class in the `.json` of each sample of shards, as `data.classKey`. */
  classKey?: string;
  /** Rules for pixels that differ from the defaults of a recipe. */
  rules?: Partial<PixelRules>;
}

/** Called with the number of files read so far. */
type OnFilesRead = (done: number, total: number) => void;

/**
 * Reads every file of a data set once; reports its contents and its faults. The format is recognised by the files.
 *
 * @throws UserError `DATA_NOT_FOUND` where there is no folder, `DATA_INVALID` where it holds no known data set
 */
export async function checkDataset(root: string, options: CheckOptions = {}): Promise<DataReport> {
  const { onProgress = () => {} } = options;
  const format = await detectFormat(root);
  const report: DataReport = {
    format,
    classNames: [],
    splits: { train: emptySplit(), test: emptySplit() },
    broken: [],
    warnings: [],
  };
  switch (format) {
    case 'cifar10':
    case 'cifar100':
      await checkCifar(format, root, report, onProgress);
      break;
    case 'mnist':
      await checkMnist(root, report, onProgress);
      break;
    case 'tiny-imagenet':
      await checkImages(root, indexTinyImageNet, report, options);
      break;
    case 'image-folder':
      await checkImages(root, (folder) => indexFolder(folder, report, options), report, options);
      break;
    case 'webdataset':
      await checkImages(root, (folder) => indexTars(folder, report, options), report, options);
  }
  return report;
}

const isCifar10 = /^(data_batch_\d|test_batch)\.bin$|^cifar-10-batches-bin$/;
const isCifar100 = /^(train|test)\.bin$|^cifar-100-binary$/;
const isMnist = /^(train|t10k)-(images|labels)[-.]idx\d-ubyte(\.gz)?$/;

async function detectFormat(root: string): Promise<DataFormat> {
  let names: string[];
  if (isS3(root)) {
    const { objects, folders } = await listObjects(root, { flat: true });
    names = [...folders, ...objects.map(({ path }) => path.slice(path.lastIndexOf('/') + 1))];
    if (!names.some((name) => name.endsWith('.tar') || ['train', 'test', 'val'].includes(name)))
      throw new UserError(
        'DATA_INVALID',
        `${root} holds no data set: give a prefix with train/ and test/, or with shards such as train-000.tar`,
      );
    return names.some((name) => name.endsWith('.tar')) ? 'webdataset' : 'image-folder';
  }
  try {
    names = await readdir(root);
  } catch (error) {
    throw new UserError('DATA_NOT_FOUND', `${root} cannot be read: ${messageOf(error)}`);
  }
  if (names.some((name) => isCifar10.test(name))) return 'cifar10';
  if (names.some((name) => isCifar100.test(name))) return 'cifar100';
  if (names.some((name) => isMnist.test(name))) return 'mnist';
  if (names.includes('tiny-imagenet-200') || existsSync(join(root, 'val', 'val_annotations.txt')))
    return 'tiny-imagenet';
  if (['train', 'test', 'val'].some((name) => names.includes(name))) return 'image-folder';
  if (names.some((name) => name.endsWith('.tar'))) return 'webdataset';
  throw new UserError(
    'DATA_INVALID',
    `${root} holds no data set that pod-dist knows: give a folder with train/ and test/, shards such as train-000.tar and test-000.tar, or the files of CIFAR, MNIST or Tiny ImageNet`,
  );
}

async function checkCifar(name: CifarName, root: string, report: DataReport, onProgress: OnFilesRead) {
  const files = cifarFiles(name, root);
  await attempt(report, files.names, async () => {
    report.classNames = await readCifarNames(name, files.names);
  });
  const all = (['train', 'test'] as const).flatMap((split) => files[split].map((file) => ({ split, file })));
  for (const [index, { split, file }] of all.entries()) {
    await attempt(report, file, async () => {
      const { labels } = await readCifarFile(name, file);
      for (const label of labels) count(report.splits[split], label, '32x32x3');
    });
    onProgress(index + 1, all.length);
  }
}

async function checkMnist(root: string, report: DataReport, onProgress: OnFilesRead) {
  report.classNames = Array.from({ length: 10 }, (_, label) => String(label));
  for (const [index, split] of (['train', 'test'] as const).entries()) {
    const prefix = split === 'train' ? 'train' : 't10k';
    await attempt(report, join(root, `${prefix}-*`), async () => {
      const { labels, size } = await readMnistSplit(root, prefix, report.classNames.length);
      for (const label of labels) count(report.splits[split], label, `${size[1]}x${size[0]}x1`);
    });
    onProgress(index + 1, 2);
  }
}

function indexFolder(
  root: string,
  report: DataReport,
  { testSplit, notify = () => {} }: CheckOptions,
): Promise<ImageIndex> {
  const found = {
    notify: (line: string) => {
      if (line.startsWith('listing')) notify(line);
      else report.warnings.push(line);
    },
    onFault: ({ message }: UserError) => void report.broken.push({ file: root, problem: message }),
  };
  return isS3(root)
    ? indexBucketFolder({ root, testSplit, holdOut: 0 }, found)
    : indexImages(root, { testSplit, ...found });
}

function indexTars(
  root: string,
  report: DataReport,
  { classKey, notify = () => {} }: CheckOptions,
): Promise<ImageIndex> {
  return indexShards(
    { root, classKey, holdOut: 0 },
    {
      notify: (line) => {
        if (line.startsWith('listing')) notify(line);
        else report.warnings.push(line);
      },
      onFault: ({ message }) => void report.broken.push({ file: root, problem: message }),
    },
  );
}

/** Reads the images of an index, large ones few at a time; keeps only the counts. */
async function checkImages(
  root: string,
  index: (root: string) => Promise<ImageIndex>,
  report: DataReport,
  options: CheckOptions,
) {
  let found: ImageIndex | undefined;
  await attempt(report, root, async () => void (found = await index(root)));
  report.broken.sort(byProblem);
  if (!found) return;
  report.classNames = [...found.classNames];
  const { splits } = found;
  const images = (['train', 'test'] as const).flatMap((split) =>
    splits[split].files.map((file, image) => ({ split, file, image, label: splits[split].labels[image] })),
  );
  const rules = { ...pixelRulesSchema.parse({}), ...options.rules };
  const broken: DataReport['broken'] = [];
  let done = 0;
  let animated = 0;
  await mapAtMost(2 * availableParallelism(), images, async ({ split, file, image, label }) => {
    await attempt({ broken }, file, async () => {
      const probed = await probeImage(placeOf(splits[split], image), rules);
      if (probed.animated) animated++;
      count(report.splits[split], label, `${probed.width}x${probed.height}x${probed.channels}`);
    });
    options.onProgress?.(++done, images.length);
  });
  if (animated > 0) report.warnings.push(`${animated} images are animated: their first frames are used`);
  for (const fault of broken.sort(byProblem)) report.broken.push(fault);
}

function byProblem(a: { problem: string }, b: { problem: string }): number {
  return a.problem < b.problem ? -1 : 1;
}

async function attempt(
  { broken }: Pick<DataReport, 'broken'>,
  file: string,
  read: () => Promise<void>,
): Promise<void> {
  try {
    await read();
  } catch (error) {
    broken.push({ file, problem: messageOf(error) });
  }
}

function emptySplit(): SplitReport {
  return { images: 0, perClass: [], sizes: {} };
}

function count(split: SplitReport, label: number, size: string): void {
  while (split.perClass.length <= label) split.perClass.push(0);
  split.images++;
  split.perClass[label]++;
  split.sizes[size] = (split.sizes[size] ?? 0) + 1;
}
