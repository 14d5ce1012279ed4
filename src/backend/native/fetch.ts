import { basename, join } from 'node:path';
import { cacheFolder } from '../../util/cache-folder.js';
import { download, hasDigest } from '../../util/download.js';
import type { SetupProgress } from './library.js';

/** The folder of files that are being downloaded. */
export function downloadsFolder(): string {
  return join(cacheFolder(), 'downloads');
}

interface Fetched {
  url: string;
  sha256: string;
  /** Bytes, where the size is known. */
  size?: number;
  /** Advice to the user where the file cannot be downloaded. */
  advice?: string;
}

/**
 * Downloads a file into the cache and returns its path. A file of an earlier set-up is used; a partial one is
 * continued.
 */
export async function fetchFile(
  { url, sha256, size, advice }: Fetched,
  progress: SetupProgress,
): Promise<string> {
  const name = basename(new URL(url).pathname);
  const file = join(downloadsFolder(), name);
  const digest = { algorithm: 'sha256', hex: sha256 } as const;
  if (await hasDigest(file, digest)) return file;
  progress.step(`downloading ${name}`);
  const onRetry = (reason: string) => progress.step(`downloading ${name} again (${reason})`);
  await download({ url, file, digest, size, advice, onProgress: progress.bytes, onRetry });
  return file;
}
