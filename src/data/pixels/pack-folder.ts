import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open, readdir, realpath, rm, stat, utimes } from 'node:fs/promises';
import { join, relative } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { isS3 } from '../../s3/address.js';
import { cacheFolder } from '../../util/cache-folder.js';
import { freeBytes } from '../../util/disk-room.js';
import { messageOf } from '../../util/errors.js';
import { makeFolder } from '../../util/make-folder.js';
import { readRegularText } from '../../util/regular-file.js';
import type { PixelRules } from '../pixel-rules.js';
import { recordBytes, type Pack } from './disk-cache.js';

/** Counts up whenever records or decoding change their meaning. */
const formatVersion = 2;

/** Bytes of a description, at most: it holds one path. */
const descriptionBytes = 65_536;

/** Bytes of the disk that are left free for other programs. */
const spare = 2 ** 30;

const descriptionSchema = z.object({
  root: z.string(),
  images: z.int(),
  size: z.int(),
  channels: z.int(),
  resize: z.int().optional(),
  decoder: z.string(),
});

type Description = z.output<typeof descriptionSchema>;

/** Everything besides the images that decides the pixels of a packed file. */
export interface PackRequest {
  /** Folder of the data set. */
  root: string;
  /** Image files whose pixels are kept, in order. */
  files: readonly string[];
  size: number;
  channels: number;
  resize?: number;
  rules: PixelRules;
  /** Name and version of what decodes. */
  decoder: string;
}

export interface PackOptions {
  /** Folder of the packed files; default: `defaultPackFolder`. */
  folder?: string;
  /** Bytes that all packed files may take. */
  limit: number;
  /** Bytes of the disk to leave free; default: 1 GiB. */
  spareBytes?: number;
  /** Called with one line that says why pixels are not kept. */
  notify(line: string): void;
}

/** One packed file in its folder. */
export interface StoredPack {
  key: string;
  /** Undefined where its description is lost. */
  description?: Description;
  /** Bytes on disk. */
  bytes: number;
  usedAt: Date;
}

/** The folder of packed files where a recipe names none. */
export function defaultPackFolder(): string {
  return join(cacheFolder(), 'pixels');
}

/**
 * Finds or makes the packed file of a data set: `<key>.pixels`, and `<key>.json`, which says what it is and whose
 * modification time is that of its last use. The key is a digest of the folder, the names in their order, size,
 * channels, rules and decoder. Those used longest ago are removed until all fit the limit; a data set that alone does not fit
 * has its first images kept.
 *
 * Never rejects: if the folder cannot be written, or the disk is nearly full, `notify` is called and nothing is added
 * to what may be there; undefined where nothing is.
 */
export async function openPack(request: PackRequest, options: PackOptions): Promise<Pack | undefined> {
  const { folder = defaultPackFolder(), limit, spareBytes = spare, notify } = options;
  const { size, channels, files } = request;
  const imageBytes = size * size * channels;
  const slots = Math.min(files.length, Math.floor(limit / recordBytes(imageBytes)));
  if (slots === 0) return undefined;
  const root = isS3(request.root) ? request.root : await realpath(request.root);
  const key = keyOf(request, root);
  const file = join(folder, `${key}.pixels`);
  const pack = { file, slots, imageBytes };
  try {
    makeFolder(folder, 0o700);
    await describePack(join(folder, `${key}.json`), request, root);
    await (await open(file, 'a+')).close();
    await access(file, constants.R_OK | constants.W_OK);
    const whole = slots * recordBytes(imageBytes);
    await makeRoom(folder, key, limit - whole);
    const free = freeBytes(folder);
    const missing = whole - (await stat(file)).blocks * 512;
    if (missing > free - spareBytes) {
      throw new Error(`${megabytes(missing)} MB wanted, ${megabytes(free)} MB free`);
    }
    return { ...pack, writable: true };
  } catch (error) {
    notify(notKept(folder, messageOf(error)));
  }
  return (await isReadable(file)) ? { ...pack, writable: false } : undefined;
}

/** One line: decoded pixels are not kept, and why. */
export function notKept(folder: string, reason: string): string {
  return `decoded pixels are not kept in ${folder} (${reason}), later runs decode these images again: free space, set data.cache.folder, or data.cache.diskMegabytes to 0`;
}

/** The packed files in a folder, the one used last first; none where there is no folder. */
export async function listPacks(folder: string): Promise<StoredPack[]> {
  const keys = new Set((await namesIn(folder)).map((name) => isPack.exec(name)?.[1]));
  const packs: StoredPack[] = [];
  for (const key of keys) {
    if (key === undefined) continue;
    const pixels = await stat(join(folder, `${key}.pixels`)).catch(() => undefined);
    const described = await stat(join(folder, `${key}.json`)).catch(() => undefined);
    const usedAt = (described ?? pixels)?.mtime;
    if (!usedAt) continue;
    const description = readDescription(join(folder, `${key}.json`));
    packs.push({ key, description, bytes: (pixels?.blocks ?? 0) * 512, usedAt });
  }
  return packs.sort((a, b) => b.usedAt.getTime() - a.usedAt.getTime());
}

/** Removes every packed file and index of a folder, and nothing else there; who still uses one goes on with it. */
export async function clearPacks(folder: string): Promise<{ packs: number; bytes: number }> {
  const packs = await listPacks(folder);
  for (const name of await namesIn(folder)) {
    if (isPack.test(name)) await rm(join(folder, name), { force: true });
  }
  return { packs: packs.length, bytes: packs.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Names of packed files, of their descriptions, of indexes of shards, and of what a killed process left half written. */
const isPack = /^([0-9a-f]{32})\.(?:pixels|(?:json|shard)(?:\.\d+)?)$/;

function keyOf(
  { files, size, channels, resize, rules, decoder, ...request }: PackRequest,
  root: string,
): string {
  const { maxMegapixels: _, ...decisive } = rules;
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ formatVersion, root, size, channels, resize, ...decisive, decoder }));
  for (const file of files) hash.update(`\0${relative(request.root, file)}`);
  return hash.digest('hex').slice(0, 32);
}

async function describePack(file: string, { files, ...request }: PackRequest, root: string): Promise<void> {
  const description: Description = { ...request, root, images: files.length };
  if (readDescription(file)) await utimes(file, new Date(), new Date());
  else await writeFileAtomic(file, JSON.stringify(descriptionSchema.parse(description)));
}

function readDescription(file: string): Description | undefined {
  try {
    return descriptionSchema.parse(JSON.parse(readRegularText(file, { mostBytes: descriptionBytes })));
  } catch {
    return undefined;
  }
}

/** Removes packed files other than `key`'s, the one used longest ago first, until the rest take at most `limit`. */
async function makeRoom(folder: string, key: string, limit: number): Promise<void> {
  const others = (await listPacks(folder)).filter((pack) => pack.key !== key);
  let bytes = others.reduce((sum, pack) => sum + pack.bytes, 0);
  for (const pack of others.reverse()) {
    if (bytes <= limit) return;
    await rm(join(folder, `${pack.key}.pixels`), { force: true });
    await rm(join(folder, `${pack.key}.json`), { force: true });
    bytes -= pack.bytes;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function isReadable(file: string): Promise<boolean> {
  try {
    await access(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
