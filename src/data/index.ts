import { join } from 'node:path';
import { pixelRulesOf } from './pixel-rules.js';
import type { DataConfig } from './schema.js';
import { availableCores } from '../util/cores.js';
import { readCifar } from './cifar.js';
import type { Dataset } from './dataset.js';
import { openDigits } from './digits.js';
import { imageFiles, openImageFolder } from './image-folder.js';
import { indexUnclassed } from './image-index.js';
import { readMnist } from './mnist.js';
import { storedDataset } from './stored-images.js';
import { indexTinyImageNet, tinyImageNetSize } from './tiny-imagenet.js';

export type { Batch, BatchRequest, Dataset } from './dataset.js';

export interface OpenOptions {
  /** Seed of the run, for augmentation. */
  seed: number;
  /** Loader threads where the recipe gives none; default: the cores there are, at most 4. */
  threads?: number;
  /** Classes of a model that is to be evaluated: of an image folder, the test images alone are opened. */
  evaluated?: readonly string[];
  /** Called with one line for each problem that does not stop reading; default: standard error. */
  notify?(line: string): void;
}

/** The folder of a data set where a recipe names none, and where `pod-dist data fetch` puts it. */
export function defaultRoot(name: string): string {
  return join('data', name);
}

/** Opens and checks the data set that a recipe names; a `UserError` names the file or folder that is wrong. */
export async function openDataset(config: DataConfig, options: OpenOptions): Promise<Dataset> {
  const { seed, threads = availableCores() } = options;
  const { notify = (line) => void process.stderr.write(`${line}\n`) } = options;
  const loaders = { seed, threads: Math.min(threads, 4), notify, evaluated: options.evaluated };
  switch (config.name) {
    case 'digits':
      return openDigits(config, seed);
    case 'cifar10':
    case 'cifar100':
      return storedDataset(
        await readCifar(config.name, config.root ?? defaultRoot(config.name)),
        config,
        seed,
      );
    case 'mnist':
    case 'fashion-mnist':
      return storedDataset(
        await readMnist(config.name, config.root ?? defaultRoot(config.name)),
        config,
        seed,
      );
    case 'tiny-imagenet': {
      const root = config.root ?? defaultRoot(config.name);
      const augment = { ...config.augment, randomResizedCrop: false };
      const format = { root, size: tinyImageNetSize, channels: 3 } as const;
      return imageFiles({ ...config, ...format, augment }, await indexTinyImageNet(root), loaders);
    }
    case 'image-folder':
      return openImageFolder(config, loaders);
  }
}

export interface UnknownOptions {
  data: DataConfig;
  seed: number;
  /** Settings of the evaluation; `unknown` is the folder of images of unknown classes. */
  evaluation: { unknown?: string };
}

/**
 * The images of `evaluation.unknown`, as the test split of a data set without classes: read as the test images of
 * `dataset` are. Undefined where the recipe names none.
 *
 * @throws UserError `DATA_NOT_FOUND` or `DATA_INVALID`, naming the folder or file
 */
export async function openUnknown(
  { data, seed, evaluation }: UnknownOptions,
  { shape }: Pick<Dataset, 'shape'>,
): Promise<Dataset | undefined> {
  if (evaluation.unknown === undefined) return undefined;
  const [size, , channels] = shape;
  const format = {
    root: evaluation.unknown,
    size,
    resize: data.name === 'image-folder' ? data.resize : undefined,
    channels: channels as 1 | 3,
    normalize: data.normalize,
    augment: { cropPadding: 0, flip: false, cutout: 0, randomResizedCrop: false },
    prefetch: 4,
    cache: { memoryMegabytes: 0, diskMegabytes: 0 },
    ...pixelRulesOf(data),
  };
  return imageFiles(format, await indexUnclassed(evaluation.unknown), {
    seed,
    threads: Math.min(availableCores(), 4),
    notify: () => {},
  });
}
