import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { messageOf, PodDistError, UserError } from '../../util/errors.js';
import { makeFolder } from '../../util/make-folder.js';
import { download, hasDigest, type DownloadOptions } from '../../util/download.js';
import type { Source } from './sources.js';
import { unpackTar, unpackZip } from '../../util/unpack.js';

export { notOffered, sources, type Source, type SourceName } from './sources.js';

export interface FetchOptions extends Pick<
  DownloadOptions,
  'silenceMs' | 'tries' | 'pauseMs' | 'onProgress' | 'onRetry'
> {
  /** Folder that the data set gets. */
  dir: string;
  /** Address of a mirror's folder, in place of the official one. */
  url?: string;
  /** Take what comes over https, whatever its checksum, up to twice the file's bytes. */
  skipChecksum?: boolean;
  /** Called with one line for each step. */
  onStep?(line: string): void;
}

/** A mirror that packs a file anew may need so many times its bytes. */
const mirrorFactor = 2;

/**
 * Downloads and unpacks a data set.
 *
 * Everything happens in `<dir>.partial`, which is renamed to `dir` at the end, so `dir` is whole or is not there; a
 * fetch that was interrupted goes on with what `<dir>.partial` holds.
 *
 * @throws UserError `DATA_EXISTS`; PodDistError `DOWNLOAD_FAILED`, `CHECKSUM_MISMATCH` or `ARCHIVE_INVALID`
 */
export async function fetchDataset(source: Source, options: FetchOptions): Promise<{ bytes: number }> {
  const { dir, url = source.url, skipChecksum = false, onStep } = options;
  if (existsSync(dir) && (await readdir(dir)).length > 0) {
    throw new UserError('DATA_EXISTS', `${dir} already holds files: remove it, or give another --dir`);
  }
  const work = `${resolve(dir)}.partial`;
  makeFolder(work);
  const base = url.endsWith('/') ? url : `${url}/`;
  let bytes = 0;
  for (const { name, bytes: size, sha256 } of source.files) {
    const file = join(work, name);
    const digest = { algorithm: 'sha256', hex: sha256 } as const;
    if (!skipChecksum && (await hasDigest(file, digest))) continue;
    onStep?.(`downloading ${base}${name}`);
    const done = await download({
      ...options,
      url: new URL(name, base).href,
      file,
      ...(skipChecksum ? { maxBytes: mirrorFactor * size + 2 ** 20 } : { digest, size }),
      advice: 'give a mirror with --url',
    });
    bytes += done.bytes;
  }
  onStep?.('unpacking');
  const content = join(work, 'content');
  await rm(content, { recursive: true, force: true });
  await mkdir(content);
  await unpack(source, work, content);
  await rm(dir, { recursive: true, force: true });
  makeFolder(dirname(resolve(dir)));
  await rename(content, dir);
  await rm(work, { recursive: true, force: true });
  return { bytes };
}

async function unpack({ files, form }: Source, work: string, content: string): Promise<void> {
  for (const { name } of files) {
    const file = join(work, name);
    try {
      if (form === 'tar') await unpackTar(file, content);
      else if (form === 'zip') await unpackZip(file, content);
      else await copyFile(file, join(content, name));
    } catch (error) {
      await rm(file, { force: true });
      throw new PodDistError('ARCHIVE_INVALID', `${name} cannot be unpacked: ${messageOf(error)}`);
    }
  }
}
