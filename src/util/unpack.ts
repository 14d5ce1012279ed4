import { closeSync, createWriteStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { UnpackSync, type ReadEntry } from 'tar';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { openRegular, openRegularHandle } from './regular-file.js';

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

export interface UnpackZipOptions extends UnpackLimits {
  /** Outermost folders left out of names; default 1. */
  strip?: number;
  /** Whether the file of this name, as the archive has it, is unpacked; default: all are. */
  wanted?(name: string): boolean;
}

const gzipHeader = [0x1f, 0x8b];
const fileMode = 0o644;
const programMode = 0o755;

/** Small archives may hold more than `ratio` allows, up to this. */
const freeBytes = 2 ** 20;

async function mostBytes(archive: string, { bytes = 2 ** 33, ratio = 100 }: UnpackLimits): Promise<number> {
  return Math.min(bytes, freeBytes + ratio * (await stat(archive)).size);
}

/**
 * Unpacks a .tar or .tar.gz archive into `folder`. Its content is counted as it is inflated and ends the work beyond a
 * limit. Each chunk is written before the next is read, so that nothing is written once it has failed. Owners are not
 * applied; of permissions only that to run a file is. Names that leave the folder, links and devices are refused.
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
  const unpack = new UnpackSync({
    cwd: folder,
    strip,
    strict: true,
    preserveOwner: false,
    brotli: false,
    zstd: false,
    filter: (_path, entry) => accept(entry as ReadEntry),
  });
  unpack.on('error', (error) => (refused ??= error as Error));
  const write = async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) {
      unpack.write(chunk);
      if (refused) throw refused;
    }
    unpack.end();
    if (refused) throw refused;
  };
  const content = (await openRegularHandle(archive)).createReadStream();
  const limit = counting(most);
  try {
    await ((await isGzip(archive))
      ? pipeline(content, createGunzip(), limit, write)
      : pipeline(content, limit, write));
  } catch (error) {
    throw refused ?? error;
  }
}

/** Passes bytes on, until there are too many; those of a second compression would be inflated uncounted. */
function counting(most: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      const again = bytes === 0 && chunk[0] === gzipHeader[0];
      bytes += chunk.length;
      if (again) done(new Error('it is compressed twice, or no tar archive'));
      else done(bytes > most ? tooMuch(most) : null, chunk);
    },
  });
}

function tooMuch(most: number): Error {
  return new Error(`it holds more than the ${most} bytes that an archive of its size may`);
}

async function isGzip(file: string): Promise<boolean> {
  const handle = await openRegularHandle(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return buffer[0] === gzipHeader[0] && buffer[1] === gzipHeader[1];
  } finally {
    await handle.close();
  }
}

/**
 * Unpacks a .zip archive into `folder`. Sizes are summed as its directory states them, which the reader holds each file
 * to. Names that leave the folder are refused; of permissions only that to run a file is applied.
 */
export async function unpackZip(
  archive: string,
  folder: string,
  options: UnpackZipOptions = {},
): Promise<void> {
  const { entries = 500_000, strip = 1, wanted = () => true } = options;
  const most = await mostBytes(archive, options);
  const zip = await openZip(archive);
  const made = new Set<string>();
  let count = 0;
  let bytes = 0;
  const unpack = async (entry: Entry) => {
    if (++count > entries) throw new Error(`it holds more than ${entries} files`);
    const inside = entry.fileName.split('/').slice(strip).join('/');
    if (inside === '' || inside.endsWith('/') || !wanted(entry.fileName)) return;
    bytes += entry.uncompressedSize;
    if (bytes > most) throw tooMuch(most);
    await unpackEntry(zip, entry, join(folder, inside), made);
  };
  await new Promise<void>((resolve, reject) => {
    zip.on('error', reject);
    zip.on('end', resolve);
    zip.on('entry', (entry: Entry) => void unpack(entry).then(() => zip.readEntry(), reject));
    zip.readEntry();
  }).finally(() => zip.close());
}

async function openZip(archive: string): Promise<ZipFile> {
  const { descriptor } = openRegular(archive);
  try {
    const opened = await promisify<number, yauzl.Options, ZipFile | undefined>(yauzl.fromFd)(descriptor, {
      lazyEntries: true,
      autoClose: false,
    });
    return opened as ZipFile;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

async function unpackEntry(zip: ZipFile, entry: Entry, file: string, made: Set<string>): Promise<void> {
  const parent = dirname(file);
  if (!made.has(parent)) {
    await mkdir(parent, { recursive: true });
    made.add(parent);
  }
  const content = await new Promise<NodeJS.ReadableStream>((resolve, reject) =>
    zip.openReadStream(entry, (error, stream) => (error ? reject(error) : resolve(stream))),
  );
  const mode = (entry.externalFileAttributes >>> 16) & 0o100 ? programMode : fileMode;
  await pipeline(content, createWriteStream(file, { flags: 'wx', mode }));
}
