import { setTimeout as sleep } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { Piscina } from 'piscina';
import { pixelRulesOf } from './pixel-rules.js';
import type { imageFolderSchema } from './schema.js';
import type { z } from 'zod';
import { isS3 } from '../s3/address.js';
import { PodDistError, UserError, type ErrorReport } from '../util/errors.js';
import type { AugmentSettings } from './augment-schema.js';
import { indexBucketFolder } from './bucket-folder.js';
import { checkAugmentation, checkNormalisation } from './augment.js';
import type { Batch, BatchRequest, Dataset } from './dataset.js';
import { decoderVersion } from './decoder.js';
import { folderDigest } from './folder-digest.js';
import {
  indexHeldOut,
  indexImages,
  indexTestImages,
  listed,
  type ImageIndex,
  type SplitIndex,
} from './image-index.js';
import type { LoaderData, LoaderResult, LoaderTask } from './loader-thread.js';
import { MemoryCache } from './pixels/memory-cache.js';
import { defaultPackFolder, notKept, openPack } from './pixels/pack-folder.js';
import { createCounters, originsOf, writeError, type SharedPixels } from './pixels/pixel-source.js';

type ImageFolderConfig = Omit<z.output<typeof imageFolderSchema>, 'augment'> & {
  augment: AugmentSettings & { randomResizedCrop?: boolean };
};

/** Source of the images of a data set, and their preprocessing. */
export type ImageFilesConfig = Omit<ImageFolderConfig, 'name' | 'testSplit' | 'otherClasses' | 'holdOut'>;

/** Milliseconds that closing waits for batches being prepared. */
const closeDeadline = 10_000;

/** A folder of image files by class, on a disk or in a bucket. */
export async function openImageFolder(
  config: ImageFolderConfig,
  options: ImageFilesOptions,
): Promise<Dataset> {
  checkCrops(config);
  return imageFiles(config, await indexOf(config, options), options);
}

async function indexOf(config: ImageFolderConfig, options: ImageFilesOptions): Promise<ImageIndex> {
  const { root, testSplit, otherClasses, holdOut } = config;
  const { evaluated, notify } = options;
  if (isS3(root)) return indexBucketFolder(config, { evaluated, notify });
  if (holdOut === 0)
    return evaluated
      ? indexTestImages(root, evaluated, { testSplit, notify, otherClasses })
      : indexImages(root, { testSplit, notify });
  if (testSplit !== undefined)
    throw new UserError(
      'CONFIG_INVALID',
      `data.holdOut is ${holdOut}, and data.testSplit names ${testSplit}: give one of them`,
    );
  const index = await indexHeldOut(root, holdOut, { notify });
  if (evaluated && evaluated.join('\0') !== index.classNames.join('\0'))
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `${root} has the classes ${listed(index.classNames)}, the checkpoint knows ${listed(evaluated)}`,
    );
  return index;
}

/** Options of reading image files, besides their settings. */
export interface ImageFilesOptions {
  /** Seed of the run, for augmentation. */
  seed: number;
  /** Loader threads, unless the settings say how many. */
  threads: number;
  /** Classes of a model whose test images alone are wanted. */
  evaluated?: readonly string[];
  /** Called with one line for each problem that does not stop reading. */
  notify(line: string): void;
}

/**
 * A data set of image files. Threads read, decode and augment whole batches; up to `prefetch` batches are prepared
 * ahead of the one being used, and handed over without a copy, in order; the memory of used ones goes back for later
 * ones, since a new array a batch makes V8 collect garbage every few steps. Decoded pixels are kept in memory for later
 * epochs and on disk for later runs, each up to its limit (but where training images are cropped at random before they
 * are resized). Batches being prepared for a reader that left, at most `prefetch` + 1, are finished and dropped: a pool
 * whose threads are stopped in the middle of a task throws where the result was already on its way.
 *
 * Files are .jpg, .png or .webp images at any path; `config.root` names the data set in messages.
 *
 * @throws UserError `CONFIG_INVALID` for a normalisation or an augmentation that does not fit the images; reading throws
 *   `IMAGE_INVALID`, naming the file
 * @example
 * import { configSchema, imageFiles } from 'pod-dist';
 *
 * const { data } = configSchema.parse({
 *   data: { name: 'image-folder', root: 'photos', size: 8 },
 *   model: { name: 'small-cnn' },
 *   learningRate: { schedule: 'constant', rate: 0.1 },
 * });
 * if (data.name === 'image-folder') {
 *   const split = { files: ['photos/one.png'], labels: Int32Array.of(0) };
 *   const index = { classNames: ['one'], splits: { train: split, test: split } };
 *   const dataset = await imageFiles(data, index, { seed: 1, threads: 1, notify: console.warn });
 *   for await (const { images } of dataset.read({ split: 'test', batches: [Int32Array.of(0)], epoch: 0 }))
 *     console.log(images.length);
 *   await dataset.close();
 * }
 */
export async function imageFiles(
  config: ImageFilesConfig,
  index: ImageIndex,
  options: ImageFilesOptions,
): Promise<Dataset> {
  checkNormalisation(config.normalize, config.channels);
  checkAugmentation(config.augment, [config.size, config.size, config.channels]);
  const { splits, classNames } = index;
  const { size, channels, prefetch, cache } = config;
  const labels = { train: splits.train.labels, test: splits.test.labels };
  const pixels = await sharedPixels(config, index, options);
  let threads: Piscina<LoaderTask, LoaderResult> | undefined;
  const running = new Set<Promise<void>>();
  let told = false;

  async function* read({ split, batches, epoch, mixes }: BatchRequest): AsyncIterable<Batch> {
    const pool = (threads ??= startThreads(config, index, pixels, options));
    const ahead: Promise<LoaderResult>[] = [];
    const used: Float32Array<ArrayBuffer>[] = [];
    let next = 0;
    const request = () => {
      const memory = used.pop();
      const transferList = memory ? [memory.buffer] : [];
      const task = { split, indices: batches[next], epoch, mix: mixes?.[next], memory };
      next++;
      const run = pool.run(task, { transferList });
      const settled = run.catch(() => {}).then(() => void running.delete(settled));
      running.add(settled);
      ahead.push(run);
    };
    for (const indices of batches) {
      while (next < batches.length && ahead.length <= prefetch) request();
      const result = await (ahead.shift() as Promise<LoaderResult>);
      if (!(result instanceof Float32Array)) throw errorOf(result);
      tellWriteError();
      yield { images: result, labels: indices.map((image) => labels[split][image]), count: indices.length };
      used.push(result);
    }
  }

  function tellWriteError(): void {
    const error = writeError(pixels);
    if (error === 0 || told) return;
    told = true;
    options.notify(notKept(cache.folder ?? defaultPackFolder(), getSystemErrorName(error)));
  }

  let digest: Promise<string> | undefined;
  return {
    name: config.root,
    classNames,
    shape: [size, size, channels],
    labels,
    fingerprint: () => (digest ??= folderDigest(config.root, index, options)),
    read,
    mixes: true,
    get origins() {
      return originsOf(pixels);
    },
    close: async () => {
      const pool = threads;
      threads = undefined;
      await Promise.race([Promise.all(running), sleep(closeDeadline, undefined, { ref: false })]);
      await pool?.destroy();
    },
  };
}

async function sharedPixels(
  config: ImageFilesConfig,
  { splits }: ImageIndex,
  { notify }: ImageFilesOptions,
): Promise<SharedPixels> {
  const { root, size, resize, channels, cache, augment } = config;
  const files = [...(augment.randomResizedCrop ? [] : splits.train.files), ...splits.test.files];
  const { folder, diskMegabytes, memoryMegabytes } = cache;
  const rules = pixelRulesOf(config);
  const request = { root, files, size, resize, channels, rules, decoder: await decoderVersion() };
  return {
    memory: MemoryCache.create(files.length, size * size * channels, memoryMegabytes * 1e6).buffers,
    pack: await openPack(request, { folder, limit: diskMegabytes * 1e6, notify }),
    counters: createCounters(),
  };
}

/** A failed download is no mistake in the input; every other error of a thread is. */
function errorOf({ code, message }: ErrorReport): PodDistError {
  return code === 'DOWNLOAD_FAILED' ? new PodDistError(code, message) : new UserError(code, message);
}

/** Node.js aborts the process where a thread ends in the middle of `require` of an ES module; `import` is safe. */
const importOnly = '--no-experimental-require-module';

function startThreads(
  config: ImageFilesConfig,
  { splits }: ImageIndex,
  pixels: SharedPixels,
  { seed, threads }: ImageFilesOptions,
) {
  const { size, resize, channels, normalize } = config;
  const { randomResizedCrop = false, ...choices } = config.augment;
  const placed = ({ files, parts }: SplitIndex) => ({ files, parts });
  const workerData: LoaderData = {
    images: { train: placed(splits.train), test: placed(splits.test) },
    size,
    resize,
    channels,
    augment: { height: size, width: size, channels, white: 255, normalize, ...choices, seed },
    randomResizedCrop,
    rules: pixelRulesOf(config),
    pixels,
  };
  const count = config.threads ?? threads;
  return new Piscina<LoaderTask, LoaderResult>({
    filename: new URL('./loader-thread.js', import.meta.url).href,
    minThreads: count,
    maxThreads: count,
    execArgv: [importOnly],
    workerData,
  });
}

/**
 * Refuses crops that cannot be.
 *
 * @throws UserError `CONFIG_INVALID`
 */
export function checkCrops({
  size,
  resize,
  augment,
}: Pick<ImageFolderConfig, 'size' | 'resize' | 'augment'>): void {
  if (resize !== undefined && resize < size) {
    throw new UserError(
      'CONFIG_INVALID',
      `data.resize is ${resize}, too small for a centre of data.size ${size}: give at least ${size}`,
    );
  }
  if (augment.randomResizedCrop && augment.cropPadding > 0) {
    throw new UserError(
      'CONFIG_INVALID',
      'data.augment has both randomResizedCrop and cropPadding: choose one of the two crops',
    );
  }
}
