import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { isS3 } from '../../s3/address.js';
import { makeFolder } from '../../util/make-folder.js';
import { readRegularText } from '../../util/regular-file.js';
import { printable } from '../../util/printable.js';
import type { ImageContainer, ContainerReader } from '../places/container.js';
import { samplesOf, type Sample } from './samples.js';

/** Counts up whenever samples change their meaning. */
const formatVersion = 1;

/** Bytes of the index of a shard, and of all that are kept, at most. */
const mostIndexBytes = 2 ** 26;
const mostKeptBytes = 2 ** 28;

const storedSchema = z.object({
  formatVersion: z.literal(formatVersion),
  shard: z.object({ path: z.string(), bytes: z.int(), version: z.string() }),
  names: z.array(z.string()),
  offsets: z.array(z.int().min(0)),
  sizes: z.array(z.int().min(0)),
  classes: z.array(z.string()),
});

export interface IndexOptions {
  /** Key of the class in `.json`; else it is in `.cls`. */
  classKey?: string;
  /** Bytes that are read at a time. */
  window: number;
  /** Folder where indexes are kept; none are without it. */
  folder?: string;
}

/**
 * The samples of a shard: as they were found before, if the shard is still the same, else read from it and kept. A file
 * `<key>.shard` begins with the SHA-256 of the rest and is written whole or not at all, so what is read of it is what was
 * written; the samples of another state of the shard are read anew. Processes that index the same shards take what others
 * have found meanwhile.
 *
 * @throws UserError as `samplesOf`
 */
export async function indexShard(
  shard: ImageContainer,
  reader: ContainerReader,
  options: IndexOptions,
): Promise<Sample[]> {
  const { folder, classKey } = options;
  const file = folder && join(folder, `${keyOf(shard, classKey)}.shard`);
  const known = file && readIndex(file, shard);
  if (known) return known;
  const samples = await samplesOf(shard, reader, options);
  if (folder && file) await keepIndex(folder, file, shard, samples).catch(() => {});
  return samples;
}

function keyOf({ path }: ImageContainer, classKey: string | undefined): string {
  const place = isS3(path) ? path : resolve(path);
  return createHash('sha256')
    .update(JSON.stringify([place, classKey]))
    .digest('hex')
    .slice(0, 32);
}

function readIndex(file: string, { bytes, version }: ImageContainer): Sample[] | undefined {
  try {
    const text = readRegularText(file, { mostBytes: mostIndexBytes });
    const [digest, content = ''] = [text.slice(0, 64), text.slice(65)];
    if (digestOf(content) !== digest) return undefined;
    const { shard, names, offsets, sizes, classes } = storedSchema.parse(JSON.parse(content));
    if (shard.bytes !== bytes || shard.version !== version) return undefined;
    return names.map((name, at) => {
      const [offset = 0, size = 0, className = ''] = [offsets[at], sizes[at], classes[at]];
      return { name, offset, size, className };
    });
  } catch {
    return undefined;
  }
}

/** What cannot be kept is found anew the next time. */
async function keepIndex(
  folder: string,
  file: string,
  { path, bytes, version }: ImageContainer,
  samples: readonly Sample[],
): Promise<void> {
  const stored: z.output<typeof storedSchema> = {
    formatVersion,
    shard: { path: printable(path), bytes, version },
    names: samples.map(({ name }) => name),
    offsets: samples.map(({ offset }) => offset),
    sizes: samples.map(({ size }) => size),
    classes: samples.map(({ className }) => className),
  };
  const content = JSON.stringify(stored);
  const text = `${digestOf(content)}\n${content}`;
  if (Buffer.byteLength(text) > mostIndexBytes) return;
  makeFolder(folder, 0o700);
  await writeFileAtomic(file, text);
}

/** Removes the oldest indexes of a folder until the rest take at most `limit` bytes. */
export async function boundIndexes(folder: string, limit = mostKeptBytes): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const kept: { file: string; bytes: number; at: number }[] = [];
  for (const name of names) {
    if (!/^[0-9a-f]{32}\.shard$/.test(name)) continue;
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (found) kept.push({ file: join(folder, name), bytes: found.size, at: found.mtimeMs });
  }
  let bytes = kept.reduce((sum, one) => sum + one.bytes, 0);
  for (const oldest of kept.sort((a, b) => a.at - b.at)) {
    if (bytes <= limit) return;
    await rm(oldest.file, { force: true });
    bytes -= oldest.bytes;
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
