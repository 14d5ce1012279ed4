import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf, UserError } from '../../util/errors.js';
import { unpackTar } from '../../util/unpack.js';
import { fetchFile } from './fetch.js';
import { installedLibrary } from './installed.js';
import type { Library, SetupProgress } from './library.js';

const version = '2.9.1';
const official = 'https://storage.googleapis.com/tensorflow/libtensorflow/libtensorflow-';

/**
 * SHA-256 of the published archives. TensorFlow publishes none; these are what other projects pin: Nixpkgs (cpu) and
 * wamuir/graft (both).
 */
const digests = {
  cpu: '7f510d2546e3db5e10b1d119463689003d587842892ad3c95bca51cf82820173',
  gpu: '20c46f761d5905f592c4eac0812e8e50d9cb439f9440a9391912cf4c02ed8be8',
};

export interface Archive {
  url: string;
  sha256: string;
}

/** The archive for this machine; `TFJS_NODE_BASE_URI` names a mirror, as for the package's own installer. */
function publishedArchive(cuda: boolean): Archive {
  const device = cuda ? 'gpu' : 'cpu';
  const base = process.env.TFJS_NODE_BASE_URI ?? official;
  return { url: `${base}${device}-linux-x86_64-${version}.tar.gz`, sha256: digests[device] };
}

/**
 * The libtensorflow that the npm package was made for (2.9.1; its GPU build wants CUDA 11.2 and cuDNN 8.1), unpacked
 * under `home`. An interrupted download goes on in the next set-up, and only the published file is taken.
 *
 * @throws UserError `SETUP_FAILED`; PodDistError `CHECKSUM_MISMATCH`
 */
export async function archiveLibrary(
  home: string,
  cuda: boolean,
  progress: SetupProgress,
  archive: Archive = publishedArchive(cuda),
): Promise<Library> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new UserError('SETUP_FAILED', 'the archive of libtensorflow is for Linux on x86-64');
  try {
    const advice = 'give the folder of a libtensorflow with --library';
    const file = await fetchFile({ ...archive, advice }, progress);
    const folder = join(home, 'libtensorflow');
    await mkdir(folder, { recursive: true });
    progress.step('unpacking it');
    await unpackTar(file, folder, { strip: 0, libraryLinks: true });
    return { ...(await installedLibrary(folder)), version };
  } catch (error) {
    if (codeOf(error) === 'CHECKSUM_MISMATCH') throw error;
    throw new UserError('SETUP_FAILED', `libtensorflow ${version} cannot be had: ${messageOf(error)}`);
  }
}
