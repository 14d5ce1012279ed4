import { createHash } from 'node:crypto';
import { relative } from 'node:path';
import { Piscina } from 'piscina';
import type { DataConfig } from '../config/schema.js';
import { UserError } from '../errors.js';
import { checkNormalisation } from './augment.js';
import type { Batch, BatchRequest, Dataset } from './dataset.js';
import { indexImages, type ImageIndex } from './image-index.js';
import type { LoaderData, LoaderResult, LoaderTask } from './loader-thread.js';
import { PixelCache } from './pixel-cache.js';

type ImageFolderConfig = Extract<DataConfig, { name: 'image-folder' }>;

/** Where images of a data set come from, and how they become batches. */
type ImageFilesConfig = Omit<ImageFolderConfig, 'name'>;

/** A folder of image files by class. */
export async function openImageFolder(config: ImageFolderConfig, options: OpenOptions): Promise<Dataset> {
  checkCrops(config);
  return imageFiles(config, await indexImages(config.root), options);
}

interface OpenOptions {
  seed: number;
  threads: number;
}

/**
 * A data set of image files. Threads read, decode and augment whole batches; up to `prefetch` batches are prepared
 * ahead of the one being used, and handed over without a copy, in order. Decoded pixels are kept in memory up to
 * `cacheMegabytes`, so that later epochs do not decode again (but where training images are cropped at random before
 * they are resized).
 */
export function imageFiles(config: ImageFilesConfig, index: ImageIndex, options: OpenOptions): Dataset {
  checkNormalisation(config.normalize, config.channels);
  const { splits, classNames } = index;
  const { size, channels, prefetch } = config;
  const labels = { train: splits.train.labels, test: splits.test.labels };
  let threads: Piscina<LoaderTask, LoaderResult> | undefined;

  async function* read({ split, batches, epoch }: BatchRequest): AsyncIterable<Batch> {
    const pool = (threads ??= startThreads(config, index, options));
    const stop = new AbortController();
    const ahead: Promise<LoaderResult>[] = [];
    let next = 0;
    const request = () => {
      const run = pool.run({ split, indices: batches[next++], epoch }, { signal: stop.signal });
      run.catch(() => {});
      ahead.push(run);
    };
    try {
      for (const indices of batches) {
        while (next < batches.length && ahead.length <= prefetch) request();
        const result = await (ahead.shift() as Promise<LoaderResult>);
        if (!(result instanceof Float32Array)) throw new UserError(result.code, result.message);
        yield { images: result, labels: indices.map((image) => labels[split][image]), count: indices.length };
      }
    } finally {
      stop.abort();
    }
  }

  return {
    name: config.root,
    classNames,
    shape: [size, size, channels],
    labels,
    fingerprint: fingerprint(config.root, index),
    read,
    close: async () => {
      await threads?.destroy();
      threads = undefined;
    },
  };
}

function startThreads(config: ImageFilesConfig, { splits }: ImageIndex, { seed, threads }: OpenOptions) {
  const { size, resize, channels } = config;
  const { randomResizedCrop, ...choices } = config.augment;
  const files = { train: splits.train.files, test: splits.test.files };
  const images = (randomResizedCrop ? 0 : files.train.length) + files.test.length;
  const cache = PixelCache.create(images, size * size * channels, config.cacheMegabytes * 1e6);
  const augment = {
    height: size,
    width: size,
    channels,
    white: 255,
    normalize: config.normalize,
    ...choices,
    seed,
  };
  const workerData: LoaderData = {
    files,
    size,
    resize,
    channels,
    augment,
    randomResizedCrop,
    cache: cache.buffers,
  };
  const count = config.threads ?? threads;
  return new Piscina<LoaderTask, LoaderResult>({
    filename: new URL('./loader-thread.js', import.meta.url).href,
    minThreads: count,
    maxThreads: count,
    workerData,
  });
}

function checkCrops({ size, resize, augment }: ImageFolderConfig): void {
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

function fingerprint(root: string, { splits }: ImageIndex): string {
  const hash = createHash('sha256');
  for (const { files, labels } of [splits.train, splits.test]) {
    for (const file of files) hash.update(`${relative(root, file)}\n`);
    hash.update(labels);
  }
  return hash.digest('hex');
}
