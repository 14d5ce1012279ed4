import { UserError } from '../../util/errors.js';
import { mapAtMost } from '../budget.js';
import type { Dataset, SplitName } from '../dataset.js';
import { heldPlaces } from '../hold-out.js';
import { checkCrops, imageFiles, type ImageFilesOptions } from '../image-folder.js';
import { listed, type ImageIndex, type SplitIndex } from '../image-index.js';
import { FileReader, findContainer, type ImageContainer } from '../places/container.js';
import { defaultPackFolder } from '../pixels/pack-folder.js';
import type { DataConfig } from '../schema.js';
import { SlowNotice } from '../slow-notice.js';
import type { Sample } from './samples.js';
import { boundIndexes, indexShard } from './shard-index.js';
import { shardsOf, type ShardPatterns } from './shard-names.js';

type WebdatasetConfig = Extract<DataConfig, { name: 'webdataset' }>;

/** Bytes of a shard that are read at a time to list its samples: headers, and small files between images. */
const window = 2 ** 16;

/** Images in tar archives, as WebDataset lays them out. */
export async function openWebdataset(config: WebdatasetConfig, options: ImageFilesOptions): Promise<Dataset> {
  checkCrops(config);
  const { cache } = config;
  const folder = cache.diskMegabytes > 0 ? (cache.folder ?? defaultPackFolder()) : undefined;
  return imageFiles(config, await indexShards(config, { ...options, folder }), options);
}

export interface IndexShardsOptions {
  /** Classes of a model whose test images alone are wanted. */
  evaluated?: readonly string[];
  /** Folder where the samples of each shard are kept for later runs. */
  folder?: string;
  notify(line: string): void;
  /** Called for each fault; what is fine is listed anyway. Default: the first fault is thrown. */
  onFault?(fault: UserError): void;
}

/**
 * Lists the images of shards: shard by shard in the order of their names or of the list, in each in the order of the
 * archive. So an image has one number in every process, and is shuffled and read as one in a folder. Classes are numbered
 * in the order of their names, by value where all are whole numbers. Both splits must have the same classes.
 *
 * @throws UserError `DATA_NOT_FOUND` or `DATA_INVALID`, naming the shard and what is wrong with it;
 *   `CHECKPOINT_MISMATCH` for classes that the model does not know
 */
export async function indexShards(
  config: ShardPatterns & { holdOut: number; classKey?: string },
  options: IndexShardsOptions,
): Promise<ImageIndex> {
  const { root, holdOut, test: testPattern } = config;
  const { evaluated, notify } = options;
  if (holdOut > 0 && testPattern !== undefined)
    throw new UserError(
      'CONFIG_INVALID',
      `data.holdOut is ${holdOut}, and data.test names shards: give one of them`,
    );
  const shards = async (split: SplitName) => {
    const paths = await shardsOf(config, split);
    const needs =
      split === 'train' ? 'data.train names them' : 'data.test names them, data.holdOut does without';
    if (paths.length === 0)
      throw new UserError(
        'DATA_NOT_FOUND',
        `${root} holds no ${split === 'train' ? 'train' : 'test or val'}*.tar: ${needs}`,
      );
    return mapAtMost(16, paths, findContainer);
  };
  const wanted = { train: holdOut > 0 || !evaluated, test: holdOut === 0 };
  const train = wanted.train ? await readShards(await shards('train'), config, options) : none();
  const test = wanted.test ? await readShards(await shards('test'), config, options) : none();
  if (options.folder) await boundIndexes(options.folder);
  if (evaluated && holdOut === 0) {
    checkKnown(root, classesOf(test), evaluated, notify);
    return { classNames: evaluated, splits: { train: splitOf(none(), []), test: splitOf(test, evaluated) } };
  }
  const classNames = classesOf(train);
  if (classNames.length === 1)
    notify(`${root} holds one class only, ${classNames[0]}: a classifier needs two or more`);
  if (holdOut === 0) {
    checkAlike(root, classNames, classesOf(test), options);
    return { classNames, splits: { train: splitOf(train, classNames), test: splitOf(test, classNames) } };
  }
  if (evaluated && evaluated.join('\0') !== classNames.join('\0'))
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `${root} has the classes ${listed(classNames)}, the checkpoint knows ${listed(evaluated)}`,
    );
  const held = heldOut(root, train, classNames, holdOut);
  const pick = (of: boolean): Samples => ({
    shards: train.shards,
    all: train.all.filter((_, image) => held.has(image) === of),
  });
  return {
    classNames,
    splits: { train: splitOf(pick(false), classNames), test: splitOf(pick(true), classNames) },
  };
}

/** Samples of some shards in their order, each with the number of its shard. */
interface Samples {
  shards: readonly ImageContainer[];
  all: readonly (Sample & { shard: number })[];
}

const none = (): Samples => ({ shards: [], all: [] });

/** Processes begin with different shards, and find what others have kept meanwhile. */
async function readShards(
  shards: readonly ImageContainer[],
  { classKey }: { classKey?: string },
  { folder, notify, onFault }: IndexShardsOptions,
): Promise<Samples> {
  const progress = new SlowNotice('listing images in shards', notify);
  const reader = new FileReader();
  const bySample = new Array<Samples['all']>(shards.length);
  const first = process.pid % shards.length;
  let done = 0;
  try {
    for (let turn = 0; turn < shards.length; turn++) {
      const shard = (first + turn) % shards.length;
      const samples = await indexShard(shards[shard], reader, { classKey, folder, window }).catch(
        (error: unknown) => {
          if (!onFault || !(error instanceof UserError)) throw error;
          onFault(error);
          return [];
        },
      );
      bySample[shard] = samples.map((sample) => ({ ...sample, shard }));
      progress.update(++done, shards.length);
    }
  } finally {
    reader.close();
  }
  return { shards, all: bySample.flat() };
}

function classesOf({ all }: Samples): string[] {
  const names = [...new Set(all.map(({ className }) => className))];
  return names.every((name) => /^\d{1,15}$/.test(name))
    ? names.sort((a, b) => Number(a) - Number(b))
    : names.sort();
}

function checkAlike(
  root: string,
  train: readonly string[],
  test: readonly string[],
  { onFault }: IndexShardsOptions,
): void {
  const fault = (problem: string) => {
    const error = new UserError('DATA_INVALID', `${root}: ${problem}`);
    if (!onFault) throw error;
    onFault(error);
  };
  const missing = without(train, test);
  const strange = without(test, train);
  if (strange.length > 0) fault(`the test shards have classes that those of train lack: ${listed(strange)}`);
  if (missing.length > 0)
    fault(`the test shards have no images of ${listed(missing)}: every class needs test images`);
}

function checkKnown(
  root: string,
  found: readonly string[],
  known: readonly string[],
  notify: (line: string) => void,
): void {
  const strange = without(found, known);
  if (strange.length > 0)
    throw new UserError(
      'CHECKPOINT_MISMATCH',
      `${root} has classes that the checkpoint does not know: ${listed(strange)}; it knows ${listed(known)}`,
    );
  const missing = without(known, found);
  if (missing.length > 0)
    notify(`${root} has no test images of ${listed(missing)}: the evaluation is of the other classes`);
}

/** Those of some names that others lack. */
function without(names: readonly string[], others: readonly string[]): string[] {
  const there = new Set(others);
  return names.filter((name) => !there.has(name));
}

/** Numbers of the images that are held out: a share of each class, one at least. */
function heldOut(root: string, { all }: Samples, classNames: readonly string[], share: number): Set<number> {
  const byClass = new Map<string, number[]>(classNames.map((name) => [name, []]));
  all.forEach(({ className }, image) => byClass.get(className)?.push(image));
  const held = new Set<number>();
  classNames.forEach((name, label) => {
    const images = byClass.get(name) ?? [];
    if (images.length === 1)
      throw new UserError('DATA_INVALID', `${root} has one image of ${name}: data.holdOut needs two`);
    const count = Math.max(1, Math.round(share * images.length));
    for (const place of heldPlaces(images.length, label, count)) held.add(images[place]);
  });
  return held;
}

function splitOf({ shards, all }: Samples, classNames: readonly string[]): SplitIndex {
  const labels = new Map(classNames.map((name, label) => [name, label]));
  const parts = {
    containers: shards,
    container: new Uint32Array(new SharedArrayBuffer(4 * all.length)),
    offset: new Float64Array(new SharedArrayBuffer(8 * all.length)),
    size: new Float64Array(new SharedArrayBuffer(8 * all.length)),
  };
  all.forEach(({ shard, offset, size }, image) => {
    parts.container[image] = shard;
    parts.offset[image] = offset;
    parts.size[image] = size;
  });
  return {
    files: all.map(({ shard, name }) => `${shards[shard].path}:${name}`),
    // A fault that has been reported leaves test images without a class.
    labels: Int32Array.from(all, ({ className }) => labels.get(className) ?? 0),
    parts,
  };
}
