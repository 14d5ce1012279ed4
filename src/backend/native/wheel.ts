import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { freeBytes, gigabytes } from '../../util/disk-room.js';
import { hasDigest } from '../../util/download.js';
import { codeOf, messageOf, PodDistError, UserError } from '../../util/errors.js';
import { largest } from '../../util/extremes.js';
import { unpackZip } from '../../util/unpack.js';
import { tensorflowVersion } from './cache.js';
import { downloadsFolder, fetchFile } from './fetch.js';
import type { Library, SetupProgress } from './library.js';
import { minute, runCommand } from './run.js';
import { wheels, type PinnedWheel } from './wheels.js';

/** Bytes of `neededFile` in the wheels, measured with version 2.21.0. */
const unpackedBytes = { cpu: 1.1e9, cuda: 5.8e9 };

const reportSchema = z.object({
  install: z.array(z.object({ download_info: z.object({ url: z.string() }) })),
});

const pipOptions = [
  '--disable-pip-version-check',
  '--only-binary',
  ':all:',
  '--no-deps',
  '--timeout',
  '30',
  '--retries',
  '3',
];

/**
 * TensorFlow from its Python wheel, with the CUDA libraries where they are wanted, unpacked under `home`. Which wheels
 * may be taken is pinned, by name, size and SHA-256. pip says at which address of the user's index those lie that fit
 * this machine; they are fetched here, so that an interrupted download goes on, or by pip where its way to the index is
 * not ours (a proxy, a certificate, a password). Each file is checked before it is unpacked, and removed after it. What
 * only Python needs is not unpacked.
 *
 * @throws UserError `SETUP_FAILED`: what is missing and what to do; UserError `ROOM_MISSING`; PodDistError
 *   `CHECKSUM_MISMATCH`
 */
export async function wheelLibrary(home: string, cuda: boolean, progress: SetupProgress): Promise<Library> {
  const python = await findPython();
  const kind = cuda ? 'cuda' : 'cpu';
  const pinned = wheels[kind];
  const site = join(home, 'site');
  try {
    progress.step(
      `asking pip for TensorFlow ${tensorflowVersion}${cuda ? ' and the libraries of CUDA' : ''}`,
    );
    const found = (await listWheels(python, pinned, site)).map((url) => ({ url, wheel: pinOf(url, pinned) }));
    await requireRoom(home, found, unpackedBytes[kind], progress);
    await mkdir(site);
    for (const { url, wheel } of found) {
      const file = await fetchWheel({ url, python, wheel }, progress);
      progress.step(`unpacking ${wheel.file}`);
      await unpackZip(file, site, { strip: 0, wanted: isNeeded });
      if (!url.startsWith('file:')) await rm(file);
    }
  } catch (error) {
    if (mustEnd(error)) throw error;
    throw new UserError(
      'SETUP_FAILED',
      `TensorFlow ${tensorflowVersion} cannot be fetched with ${python} -m pip: ${messageOf(error)}; check the network and that this Python has wheels for it`,
    );
  }
  return siteLibrary(join(site, 'tensorflow'), tensorflowVersion);
}

/** Whether set-up ends with it instead of looking for another TensorFlow. */
export function mustEnd(error: unknown): boolean {
  return ['CHECKSUM_MISMATCH', 'ROOM_MISSING'].includes(codeOf(error));
}

/** Shared libraries, headers of TensorFlow, programs and device code of CUDA, notices. */
function isNeeded(name: string): boolean {
  if (name.startsWith('nvidia/')) return !/\/include\/|\.(a|py|pyi)$/.test(name);
  return /^tensorflow\/(include\/|lib[^/]*\.so[.\d]*$|THIRD_PARTY_NOTICES)|\.dist-info\/.*licen[cs]e/i.test(
    name,
  );
}

/** @throws UserError `ROOM_MISSING` where the downloads and what is unpacked do not fit */
async function requireRoom(
  home: string,
  found: readonly { wheel: PinnedWheel }[],
  unpacked: number,
  progress: SetupProgress,
): Promise<void> {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const sizes = found.map(({ wheel }) => wheel.bytes);
  const there = await Promise.all(
    found.flatMap(({ wheel: { file } }) =>
      [file, `${file}.part`].map(async (name) =>
        stat(join(downloadsFolder(), name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    ),
  );
  const download = Math.max(0, sum(sizes) - sum(there));
  // A wheel is removed when it is unpacked: the largest one is there beside all that is unpacked.
  const needed = unpacked + largest(sizes);
  const free = freeBytes(home) + sum(there);
  progress.step(
    `${found.length === 1 ? 'one wheel' : `${found.length} wheels`}, ${gigabytes(download)} to download; it needs ${gigabytes(needed)} in ${dirname(home)}, where ${gigabytes(free)} are free`,
  );
  if (free < needed)
    throw new UserError(
      'ROOM_MISSING',
      `native TensorFlow needs ${gigabytes(needed)} in ${dirname(home)}, where ${gigabytes(free)} are free: make room, or set POD_DIST_CACHE to a folder that has it`,
    );
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
      await runCommand(name, ['-m', 'pip', '--version'], minute);
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

/** Addresses of the wheels that pip would install here. */
async function listWheels(python: string, pinned: readonly PinnedWheel[], site: string): Promise<string[]> {
  const dry = ['install', '--quiet', '--dry-run', '--ignore-installed', '--report', '-'];
  const wanted = [...new Set(pinned.map(({ requirement }) => requirement))];
  const report = await pip(python, [...dry, ...pipOptions, '--target', site, ...wanted]);
  return reportSchema.parse(JSON.parse(report)).install.map(({ download_info: { url } }) => url);
}

function pinOf(url: string, pinned: readonly PinnedWheel[]): PinnedWheel {
  const name = decodeURIComponent(basename(new URL(url).pathname));
  const wheel = pinned.find(({ file }) => file === name);
  if (wheel) return wheel;
  throw new Error(`${name} has no checksum in this version of pod-dist, give a libtensorflow with --library`);
}

interface WheelRequest {
  url: string;
  python: string;
  wheel: PinnedWheel;
}

/** Path of the wheel, whose checksum is the pinned one. */
async function fetchWheel({ url, python, wheel }: WheelRequest, progress: SetupProgress): Promise<string> {
  const { sha256, bytes: size } = wheel;
  if (url.startsWith('file:')) return checked(fileURLToPath(url), wheel);
  try {
    return await fetchFile({ url, sha256, size }, progress);
  } catch (error) {
    if (codeOf(error) === 'CHECKSUM_MISMATCH') throw error;
    progress.step(`leaving the download to pip (${messageOf(error)})`);
    return downloadByPip(python, wheel);
  }
}

async function downloadByPip(python: string, wheel: PinnedWheel): Promise<string> {
  const folder = join(downloadsFolder(), 'pip');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const list = join(folder, 'requirements.txt');
  await writeFile(list, `${wheel.requirement} --hash=sha256:${wheel.sha256}\n`);
  const download = ['download', '--quiet', '--require-hashes', ...pipOptions];
  await pip(python, [...download, '--dest', folder, '--requirement', list]);
  return checked(join(folder, wheel.file), wheel);
}

/**
 * Runs pip and returns its output.
 *
 * @throws PodDistError `CHECKSUM_MISMATCH`, with the checksum of the file, where pip got another one than pinned
 */
async function pip(python: string, args: readonly string[]): Promise<string> {
  try {
    return await runCommand(python, ['-m', 'pip', ...args], 30 * minute);
  } catch (error) {
    const [, got] = /^\s*Got\s+([0-9a-f]{64})\s*$/.exec(messageOf(error)) ?? [];
    if (got === undefined) throw error;
    throw new PodDistError(
      'CHECKSUM_MISMATCH',
      `pip has been given a file of TensorFlow that is not the published one (its SHA256 is ${got}): see where its index leads`,
    );
  }
}

async function checked(file: string, { sha256 }: PinnedWheel): Promise<string> {
  if (await hasDigest(file, { algorithm: 'sha256', hex: sha256 })) return file;
  throw new PodDistError(
    'CHECKSUM_MISMATCH',
    `${file} is not the wheel that was published (its SHA256 is not ${sha256}): remove it, and see where the index of pip leads`,
  );
}
