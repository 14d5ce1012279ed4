import type { z } from 'zod';
import { isS3 } from '../../s3/address.js';
import { UserError } from '../../util/errors.js';
import { mapAtMost } from '../budget.js';
import type { Dataset, SplitName } from '../dataset.js';
import { checkCrops, imageFiles, type ImageFilesOptions } from '../image-folder.js';
import type { ImageIndex } from '../image-index.js';
import { indexPlaced, type PlacedOptions, type PlacedSplit } from '../placed-index.js';
import { findContainer, PartReader, type ImageContainer } from '../places/container.js';
import { defaultPackFolder } from '../pixels/pack-folder.js';
import type { webdatasetSchema } from '../schema.js';
import { SlowNotice } from '../slow-notice.js';
import type { Sample } from './samples.js';
import { boundIndexes, indexShard } from './shard-index.js';
import { shardsOf, type ShardPatterns } from './shard-names.js';

type WebdatasetConfig = z.output<typeof webdatasetSchema>;

/** Bytes of a shard that are read at a time to list its samples: headers, and small files between images. */
const windows = { file: 2 ** 16, object: 2 ** 23 };
/** Shards that are listed at a time. */
const atOnce = 4;

/** Images in tar archives, as WebDataset lays them out. */
export async function openWebdataset(config: WebdatasetConfig, options: ImageFilesOptions): Promise<Dataset> {
  checkCrops(config);
  const { cache } = config;
  const folder = cache.diskMegabytes > 0 ? (cache.folder ?? defaultPackFolder()) : undefined;
  return imageFiles(config, await indexShards(config, { ...options, folder }), options);
}

export interface IndexShardsOptions extends Omit<PlacedOptions, 'holdOut' | 'otherClasses'> {
  /** Folder where the samples of each shard are kept for later runs. */
  folder?: string;
}

/**
 * Lists the images of shards: shard by shard in the order of their names or of the list, in each in the order of the
 * archive. So an image has one number in every process, and is shuffled and read as one in a folder. Classes are numbered
 * in the order of their names, by value where all are whole numbers.
 *
 * @throws UserError `DATA_NOT_FOUND` or `DATA_INVALID`, naming the shard and what is wrong with it; else as `indexPlaced`
 */
export async function indexShards(
  config: ShardPatterns & { holdOut: number; classKey?: string },
  options: IndexShardsOptions,
): Promise<ImageIndex> {
  const { root, holdOut, test } = config;
  if (holdOut > 0 && test !== undefined)
    throw new UserError(
      'CONFIG_INVALID',
      `data.holdOut is ${holdOut}, and data.test names shards: give one of them`,
    );
  const read = async (split: SplitName) => {
    const paths = await shardsOf(config, split);
    if (paths.length > 0) return readShards(await mapAtMost(16, paths, findContainer), config, options);
    throw new UserError(
      'DATA_NOT_FOUND',
      split === 'train'
        ? `${root} holds no train*.tar: data.train names them`
        : `${root} holds no test or val*.tar: data.test names them, data.holdOut does without`,
    );
  };
  const index = await indexPlaced({ root, read, sort: byValue }, { ...options, holdOut });
  if (options.folder) await boundIndexes(options.folder);
  return index;
}

/** Processes begin with different shards, and find what others have kept meanwhile. */
async function readShards(
  shards: readonly ImageContainer[],
  { classKey }: { classKey?: string },
  { folder, notify, onFault }: IndexShardsOptions,
): Promise<PlacedSplit> {
  const progress = new SlowNotice('listing images in shards', notify);
  const reader = new PartReader();
  const byShard = new Array<readonly Sample[]>(shards.length);
  const first = process.pid % shards.length;
  const order = Array.from(shards.keys(), (turn) => (first + turn) % shards.length);
  let done = 0;
  try {
    await mapAtMost(atOnce, order, async (number) => {
      const shard = shards[number];
      const window = isS3(shard.path) ? windows.object : windows.file;
      try {
        byShard[number] = await indexShard(shard, reader, { classKey, folder, window });
      } catch (error) {
        if (!onFault || !(error instanceof UserError)) throw error;
        onFault(error);
        byShard[number] = [];
      }
      progress.update(++done, shards.length);
    });
  } finally {
    reader.close();
  }
  const images = byShard.flatMap((samples, container) =>
    samples.map(({ name, ...sample }) => ({
      ...sample,
      container,
      file: `${shards[container].path}:${name}`,
    })),
  );
  return { containers: shards, images };
}

function byValue(names: string[]): string[] {
  return names.every((name) => /^\d{1,15}$/.test(name))
    ? names.sort((a, b) => Number(a) - Number(b))
    : names.sort();
}
