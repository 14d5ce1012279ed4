import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { messageOf, UserError } from '../../errors.js';
import { tensorflowVersion } from './cache.js';
import { fetchFile } from './fetch.js';
import type { Library, Progress } from './library.js';
import { minute, run } from './run.js';

const reportSchema = z.object({
  install: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      download_info: z.object({
        url: z.string(),
        archive_info: z.object({ hashes: z.object({ sha256: z.string() }).optional() }).optional(),
      }),
    }),
  ),
});

interface Wheel {
  url: string;
  sha256?: string;
}

const pipOptions = [
  '--disable-pip-version-check',
  '--only-binary',
  ':all:',
  '--timeout',
  '30',
  '--retries',
  '3',
];

/**
 * TensorFlow from its Python wheel, with the CUDA libraries where they are wanted, unpacked under `home`. pip says
 * which files of which index fit this machine; they are fetched here, so that an interrupted download goes on, or by
 * pip where its way to the index is not ours (a proxy, a certificate, a password).
 *
 * @throws UserError `SETUP_FAILED`: what is missing and what to do
 */
export async function wheelLibrary(home: string, cuda: boolean, progress: Progress): Promise<Library> {
  const python = await findPython();
  const wanted = cuda ? `tensorflow[and-cuda]==${tensorflowVersion}` : `tensorflow-cpu==${tensorflowVersion}`;
  const site = join(home, 'site');
  try {
    progress.step(`asking pip for ${wanted}`);
    const wheels = await listWheels(python, wanted, cuda, site);
    const files: string[] = [];
    for (const wheel of wheels) files.push(await fetchWheel(wheel, progress));
    progress.step(`unpacking ${files.length === 1 ? 'it' : `${files.length} wheels`}`);
    const install = ['-m', 'pip', 'install', '--quiet', '--no-compile', '--no-deps', ...pipOptions];
    await run(python, [...install, '--target', site, ...files], 30 * minute);
  } catch (error) {
    throw new UserError(
      'SETUP_FAILED',
      `TensorFlow ${tensorflowVersion} cannot be fetched with ${python} -m pip: ${messageOf(error)}; check the network and that this Python has wheels for it`,
    );
  }
  return siteLibrary(join(site, 'tensorflow'), tensorflowVersion);
}

/** The library inside a Python package folder of TensorFlow; it looks for CUDA's libraries in `nvidia` beside it. */
export function siteLibrary(tensorflow: string, version: string): Library {
  return {
    version,
    include: join(tensorflow, 'include'),
    folder: tensorflow,
    files: ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'],
  };
}

export async function findPython(): Promise<string> {
  for (const name of ['python3', 'python']) {
    try {
      await run(name, ['-m', 'pip', '--version'], minute);
      return name;
    } catch {
      continue;
    }
  }
  throw new UserError(
    'SETUP_FAILED',
    'Python 3 with pip is needed to fetch TensorFlow: install python3 and python3-pip, then run pod-dist setup again',
  );
}

async function listWheels(python: string, wanted: string, cuda: boolean, site: string): Promise<Wheel[]> {
  const dry = ['-m', 'pip', 'install', '--quiet', '--dry-run', '--ignore-installed', '--report', '-'];
  const dependencies = cuda ? [] : ['--no-deps'];
  const report = await run(
    python,
    [...dry, ...dependencies, ...pipOptions, '--target', site, wanted],
    5 * minute,
  );
  const { install } = reportSchema.parse(JSON.parse(report));
  return install
    .filter(({ metadata }) => /^(tensorflow|nvidia)/.test(metadata.name))
    .map(({ download_info: { url, archive_info } }) => ({ url, sha256: archive_info?.hashes?.sha256 }));
}

/** Gives the wheel's file, or its address where only pip can fetch it. */
async function fetchWheel({ url, sha256 }: Wheel, progress: Progress): Promise<string> {
  if (url.startsWith('file:')) return fileURLToPath(url);
  try {
    return await fetchFile({ url, sha256 }, progress);
  } catch (error) {
    progress.step(`leaving the download to pip (${messageOf(error)})`);
    return url;
  }
}
