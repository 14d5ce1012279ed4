import { join } from 'node:path';
import type { z } from 'zod';
import { availableCores } from '../util/cores.js';
import { isFunction, Registry, type Kind } from '../util/registry.js';
import type { Dataset } from './dataset.js';
import { holdOut } from './hold-out.js';
import { openOwn } from './own-dataset.js';
import { pixelRulesOf } from './pixel-rules.js';
import {
  digitsSchema,
  imageFolderSchema,
  storedSchema,
  storedSettings,
  tinyImageNetSchema,
  webdatasetSchema,
} from './schema.js';
import { storedDataset } from './stored-images.js';

export type { Batch, BatchRequest, Dataset, SplitName } from './dataset.js';

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

/** Options of opening a data set, besides its own settings. */
export interface DatasetOptions extends Omit<OpenOptions, 'threads' | 'notify'> {
  /** Loader threads, from 1 on. */
  threads: number;
  /** Called with one line for each problem that does not stop reading. */
  notify(line: string): void;
}

/** A data set, or several that are read alike: names, settings and how to open one. */
export interface DatasetKind<Schema extends z.ZodObject = z.ZodObject> extends Kind<Schema> {
  /** Opens and checks the data set; rejects with a `UserError` that names the file or folder that is wrong. */
  open(config: z.output<Schema>, options: DatasetOptions): Promise<Dataset> | Dataset;
}

/** Keeps the type of a data set's settings from its schema to `open`. */
function define<Schema extends z.ZodObject>(kind: DatasetKind<Schema>): DatasetKind<Schema> {
  return kind;
}

const builtIn = [
  define({
    name: 'digits',
    schema: digitsSchema,
    open: async (config, { seed }) => (await import('./digits.js')).openDigits(config, seed),
  }),
  define({
    name: storedSchema.shape.name.options,
    schema: storedSchema,
    open: async (config, { seed }) => {
      const { name, root = defaultRoot(name) } = config;
      const images =
        name === 'cifar10' || name === 'cifar100'
          ? await (await import('./cifar.js')).readCifar(name, root)
          : await (await import('./mnist.js')).readMnist(name, root);
      return storedDataset(holdOut(images, config.holdOut), config, seed);
    },
  }),
  define({
    name: 'tiny-imagenet',
    schema: tinyImageNetSchema,
    open: async (config, options) => {
      const { indexTinyImageNet, tinyImageNetSize } = await import('./tiny-imagenet.js');
      const { root = defaultRoot(config.name) } = config;
      const index = await indexTinyImageNet(root);
      const { imageFiles } = await import('./image-folder.js');
      return imageFiles({ ...config, root, size: tinyImageNetSize, channels: 3 }, index, options);
    },
  }),
  define({
    name: 'image-folder',
    schema: imageFolderSchema,
    open: async (config, options) => (await import('./image-folder.js')).openImageFolder(config, options),
  }),
  define({
    name: 'webdataset',
    schema: webdatasetSchema,
    open: async (config, options) => (await import('./shards/webdataset.js')).openWebdataset(config, options),
  }),
] as const;

/** Every data set. */
export const datasets = new Registry<DatasetKind, typeof builtIn>({
  what: 'data set',
  description: 'data set; all but digits, image-folder and webdataset: see pod-dist data fetch',
  builtIn,
  settings: {
    names: Object.keys(storedSettings),
    advice: 'spread storedSettings or imageFileSettings of pod-dist into it',
  },
  rules: [isFunction('open', '(config, { seed, threads, notify, evaluated }) that returns a data set')],
});

/** Settings of a data set that ships with pod-dist. */
export type DataConfig = z.output<typeof datasets.schema>;

/**
 * Opens and checks the data set that a recipe names; a `UserError` names the file or folder that is wrong.
 *
 * @throws UserError `DATA_INVALID` where a plug-in gives something that is no data set
 */
export async function openDataset(config: DataConfig, options: OpenOptions): Promise<Dataset> {
  const { seed, threads = availableCores(), evaluated } = options;
  const { notify = (line) => void process.stderr.write(`${line}\n`) } = options;
  const { name } = config;
  const open = () =>
    datasets.find(name)?.open(config, { seed, threads: Math.min(threads, 4), notify, evaluated });
  return datasets.originOf(name) === undefined ? ((await open()) as Dataset) : openOwn(name, open);
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
    resize: 'resize' in data ? data.resize : undefined,
    channels: channels as 1 | 3,
    normalize: data.normalize,
    augment: { cropPadding: 0, flip: false, cutout: 0 },
    prefetch: 4,
    cache: { memoryMegabytes: 0, diskMegabytes: 0 },
    ...pixelRulesOf(data),
  };
  const { imageFiles } = await import('./image-folder.js');
  const { indexUnclassed } = await import('./image-index.js');
  return imageFiles(format, await indexUnclassed(evaluation.unknown), {
    seed,
    threads: Math.min(availableCores(), 4),
    notify: () => {},
  });
}
