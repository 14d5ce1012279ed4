import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { Unpack, type ReadEntry } from 'tar';
import yauzl, { type Entry, type ZipFile } from 'yauzl';

export interface UnpackLimits {
  /** Files and folders; default 500,000. */
  entries?: number;
  /** Bytes of all content; default 8 GiB. */
  bytes?: number;
  /** Bytes of content for each byte of the archive; default 100. */
  ratio?: number;
}

export interface UnpackTarOptions extends UnpackLimits {
  /** Outermost folders left out of names; default 1. */
  strip?: number;
  /** Takes symbolic links to a name in their own folder, as shared libraries have them; else links are refused. */
  libraryLinks?: boolean;
}

const fileMode = 0o644;
const programMode = 0o755;

/** Small archives may hold more than `ratio` allows, up to this. */
const freeBytes = 2 ** 20;

async function mostBytes(archive: string, { bytes = 2 ** 33, ratio = 100 }: UnpackLimits): Promise<number> {
  return Math.min(bytes, freeBytes + ratio * (await stat(archive)).size);
}

/**
 * Unpacks a .tar or .tar.gz archive into `folder`. Its content is counted as it is inflated and ends the work beyond a
 * limit. Owners are not applied; of permissions only that to run a file is. Names that leave the folder, links and
 * devices are refused.
 */
export async function unpackTar(
  archive: string,
  folder: string,
  options: UnpackTarOptions = {},
): Promise<void> {
  const { entries = 500_000, strip = 1, libraryLinks = false } = options;
  let count = 0;
  let refused: Error | undefined;
  const accept = (entry: ReadEntry): boolean => {
    if (++count > entries) refused ??= new Error(`it holds more than ${entries} files`);
    const { type, path, linkpath = '' } = entry;
    const link = type === 'SymbolicLink' && libraryLinks && /^[^/\\]+$/.test(linkpath) && linkpath !== '..';
    if (!link && !['File', 'OldFile', 'ContiguousFile', 'Directory'].includes(type))
      refused ??= new Error(`it holds ${path} (${type}), which is no plain file or folder`);
    entry.mode = type === 'Directory' || (entry.mode ?? 0) & 0o100 ? programMode : fileMode;
    return refused === undefined;
  };
  const most = await mostBytes(archive, options);
  const unpack = new Unpack({
    cwd: folder,
    strip,
    strict: true,
    preserveOwner: false,
    filter: (_path, entry) => accept(entry as ReadEntry),
  });
  const limit = counting(most, () => refused);
  const content = createReadStream(archive);
  const ended = new Promise<void>((resolve, reject) => {
    unpack.on('close', resolve);
    unpack.on('error', reject);
  });
  const written = async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) {
      if (!unpack.write(chunk)) await Promise.race([drained(unpack), ended]);
    }
    unpack.end();
    await ended;
  };
  ended.catch(() => {});
  await ((await isGzip(archive))
    ? pipeline(content, createGunzip(), limit, written)
    : pipeline(content, limit, written));
  if (refused) throw refused;
}

function drained(unpack: Unpack): Promise<void> {
  return new Promise((resolve) => unpack.once('drain', resolve));
}

/** Passes bytes on, until there are too many or `refused` gives an error. */
function counting(most: number, refused: () => Error | undefined): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      bytes += chunk.length;
      done(bytes > most ? tooMuch(most) : refused(), chunk);
    },
  });
}

function tooMuch(most: number): Error {
  return new Error(`it holds more than the ${most} bytes that an archive of its size may`);
}

async function isGzip(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}

/**
 * Unpacks a .zip archive into `folder`, without its outermost folder. Sizes are summed as its directory states them,
 * which the reader holds each file to. Names that leave the folder are refused, permissions are not applied.
 */
export async function unpackZip(archive: string, folder: string, limits: UnpackLimits = {}): Promise<void> {
  const { entries = 500_000 } = limits;
  const most = await mostBytes(archive, limits);
  const zip = await openZip(archive);
  const made = new Set<string>();
  let count = 0;
  let bytes = 0;
  const check = (entry: Entry) => {
    bytes += entry.uncompressedSize;
    if (++count > entries) throw new Error(`it holds more than ${entries} files`);
    if (bytes > most) throw tooMuch(most);
  };
  await new Promise<void>((resolve, reject) => {
    zip.on('error', reject);
    zip.on('end', resolve);
    zip.on('entry', (entry: Entry) => {
      Promise.resolve(entry)
        .then(check)
        .then(() => unpackEntry(zip, entry, folder, made))
        .then(() => zip.readEntry(), reject);
    });
    zip.readEntry();
  }).finally(() => zip.close());
}

async function openZip(archive: string): Promise<ZipFile> {
  const opened = await promisify<string, yauzl.Options, ZipFile | undefined>(yauzl.open)(archive, {
    lazyEntries: true,
    autoClose: false,
  });
  return opened as ZipFile;
}

async function unpackEntry(zip: ZipFile, entry: Entry, folder: string, made: Set<string>): Promise<void> {
  const inside = entry.fileName.split('/').slice(1).join('/');
  if (inside === '' || inside.endsWith('/')) return;
  const file = join(folder, inside);
  const parent = dirname(file);
  if (!made.has(parent)) {
    await mkdir(parent, { recursive: true });
    made.add(parent);
  }
  const content = await new Promise<NodeJS.ReadableStream>((resolve, reject) =>
    zip.openReadStream(entry, (error, stream) => (error ? reject(error) : resolve(stream))),
  );
  await pipeline(content, createWriteStream(file, { flags: 'wx', mode: fileMode }));
}
