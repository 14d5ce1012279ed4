import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cacheFolder } from '../../cache-folder.js';
import { messageOf, UserError } from '../../errors.js';
import { download } from '../../download.js';
import { installedLibrary } from './installed.js';
import type { Library, Progress } from './library.js';
import { minute, run } from './run.js';

const version = '2.9.1';
const published = 'https://storage.googleapis.com/tensorflow/libtensorflow';

/**
 * The libtensorflow that the npm package was made for (2.9.1; its GPU build wants CUDA 11.2 and cuDNN 8.1), unpacked
 * under `home`. `TFJS_NODE_BASE_URI` names another place to fetch it from, as for the package's own installer.
 *
 * @throws UserError `SETUP_FAILED`
 */
export async function archiveLibrary(home: string, cuda: boolean, progress: Progress): Promise<Library> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new UserError('SETUP_FAILED', 'the archive of libtensorflow is for Linux on x86-64');
  const base = process.env.TFJS_NODE_BASE_URI ?? `${published}/libtensorflow-`;
  const url = `${base}${cuda ? 'gpu' : 'cpu'}-linux-x86_64-${version}.tar.gz`;
  const file = join(cacheFolder(), 'downloads', basename(new URL(url).pathname));
  try {
    progress.step(`downloading ${basename(file)}`);
    await download({ url, file, onProgress: progress.bytes });
    const folder = join(home, 'libtensorflow');
    await mkdir(folder, { recursive: true });
    await run('tar', ['-xzf', file, '-C', folder], 10 * minute);
    return { ...(await installedLibrary(folder)), version };
  } catch (error) {
    throw new UserError('SETUP_FAILED', `libtensorflow ${version} cannot be had: ${messageOf(error)}`);
  }
}
