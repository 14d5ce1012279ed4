import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { extract } from 'tar';
import yauzl, { type Entry, type ZipFile } from 'yauzl';

/** What data sets are made of: neither links nor devices. */
const plainTypes: readonly string[] = ['File', 'OldFile', 'ContiguousFile', 'Directory'];

/**
 * Unpacks a .tar or .tar.gz archive into `folder`, without its outermost folder. Archives with links or devices are
 * refused: a link can lead out of the folder, and one whose path leads through its own target keeps node-tar waiting
 * for itself.
 */
export async function unpackTar(archive: string, folder: string): Promise<void> {
  const others: string[] = [];
  const filter = (path: string, entry: object) => {
    const type = 'type' in entry ? String(entry.type) : '';
    if (!plainTypes.includes(type)) others.push(`${path} (${type})`);
    return plainTypes.includes(type);
  };
  await extract({ file: archive, cwd: folder, strip: 1, strict: true, filter });
  if (others.length > 0) throw new Error(`it holds ${others[0]}, which is no plain file or folder`);
}

/** Unpacks a .zip archive into `folder`, without its outermost folder. Names that leave it are refused by the reader. */
export async function unpackZip(archive: string, folder: string): Promise<void> {
  const zip = await openZip(archive);
  const made = new Set<string>();
  await new Promise<void>((resolve, reject) => {
    zip.on('error', reject);
    zip.on('end', resolve);
    zip.on('entry', (entry: Entry) => {
      unpackEntry(zip, entry, folder, made).then(() => zip.readEntry(), reject);
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
  await pipeline(content, createWriteStream(file));
}
