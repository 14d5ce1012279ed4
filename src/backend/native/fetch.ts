import { basename, join } from 'node:path';
import { cacheFolder } from '../../cache-folder.js';
import { download, hasDigest } from '../../download.js';
import type { Progress } from './library.js';

interface Fetched {
  url: string;
  /** Without it an interrupted download starts anew, and what comes is taken. */
  sha256?: string;
  /** What else a user can do. */
  advice?: string;
}

/** The file of an address, from an earlier set-up where that has fetched it already, and going on with its part. */
export async function fetchFile({ url, sha256, advice }: Fetched, progress: Progress): Promise<string> {
  const name = basename(new URL(url).pathname);
  const file = join(cacheFolder(), 'downloads', name);
  const digest = sha256 === undefined ? undefined : ({ algorithm: 'sha256', hex: sha256 } as const);
  if (digest && (await hasDigest(file, digest))) return file;
  progress.step(`downloading ${name}`);
  const onRetry = (reason: string) => progress.step(`downloading ${name} again (${reason})`);
  await download({ url, file, digest, advice, onProgress: progress.bytes, onRetry });
  return file;
}
