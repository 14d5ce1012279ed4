import { readdir } from 'node:fs/promises';
import { expand } from 'brace-expansion';
import { isAbsolute, join } from 'node:path';
import { isS3, joinS3 } from '../../s3/address.js';
import { listObjects } from '../../s3/objects.js';
import { UserError } from '../../util/errors.js';
import { reasonOf } from '../../util/regular-file.js';
import type { SplitName } from '../dataset.js';

/** Shards of a split, at most. */
const mostShards = 100_000;

/** Beginnings of the names of a split's shards, where the settings name none. */
const beginnings: Record<SplitName, readonly string[]> = { train: ['train'], test: ['test', 'val'] };

/** Patterns of the shards of each split, from `root` on, as the settings name them. */
export interface ShardPatterns {
  root: string;
  train?: string | readonly string[];
  test?: string | readonly string[];
}

/**
 * Paths of the shards of a split in their order: what the patterns stand for (`train-{000..009}.tar`, `{a,b}.tar`), or
 * the files in the root whose names begin with `train`, or with `test`, else `val`, and end with `.tar`; none where
 * there are no such files.
 *
 * @throws UserError `CONFIG_INVALID` for a pattern of too many shards, `DATA_NOT_FOUND` for a folder that cannot be read
 */
export async function shardsOf(patterns: ShardPatterns, split: SplitName): Promise<string[]> {
  const { root, [split]: given } = patterns;
  if (given === undefined) return shardsIn(root, beginnings[split]);
  const names = [given].flat().flatMap((pattern) => expand(pattern, { max: mostShards + 1 }));
  if (names.length > mostShards)
    throw new UserError('CONFIG_INVALID', `data.${split} stands for more than ${mostShards} shards`);
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined)
    throw new UserError('CONFIG_INVALID', `data.${split} names the shard ${twice} twice`);
  return names.map((name) => placeIn(root, name));
}

function placeIn(root: string, name: string): string {
  if (isAbsolute(name) || isS3(name)) return name;
  return isS3(root) ? joinS3(root, name) : join(root, name);
}

/** Names of the files in a folder, or of the objects right below an address. */
async function namesIn(root: string): Promise<string[]> {
  if (isS3(root)) {
    const { objects } = await listObjects(root, { flat: true, most: mostShards });
    return objects.map(({ path }) => path.replace(/^.*\//s, ''));
  }
  return readdir(root).catch((error: unknown) => {
    throw new UserError('DATA_NOT_FOUND', `cannot read ${root}: ${reasonOf(error)}`);
  });
}

async function shardsIn(root: string, starts: readonly string[]): Promise<string[]> {
  const names = (await namesIn(root)).filter((name) => name.endsWith('.tar'));
  const begins = starts.find((start) => names.some((name) => name.startsWith(start)));
  if (begins === undefined) return [];
  return names
    .filter((name) => name.startsWith(begins))
    .sort()
    .map((name) => placeIn(root, name));
}
