import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fileOf, joinS3 } from '../s3/address.js';
import { fetchObject, listObjects, readObject, type S3Object } from '../s3/objects.js';
import { cacheFolder } from '../util/cache-folder.js';
import { UserError } from '../util/errors.js';
import { makeFolder } from '../util/make-folder.js';
import { isCheckpoint, placeInRun } from './checkpoint.js';
import { manifestName } from './manifest.js';

/** Downloaded checkpoints that stay on this machine: those used last. */
const mostKept = 4;

/** Bytes at the start of a manifest that say where in the run it is. */
const headBytes = 400;

/** Names of files of a checkpoint. */
export const plainName = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

/** The copy of a checkpoint in a bucket: all of its objects. */
export interface Copy {
  /** Address of its folder. */
  path: string;
  manifest: S3Object;
  objects: S3Object[];
  /** How far it has come. */
  epochs: number;
  steps: number;
}

/**
 * Checkpoints at an address of a checkpoint, of a folder of checkpoints or of a run folder, the one that has come furthest
 * first.
 *
 * @throws as `listObjects`
 */
export async function listCopies(address: string): Promise<Copy[]> {
  const { objects } = await listObjects(address);
  const byFolder = new Map<string, S3Object[]>();
  for (const object of objects) {
    const path = object.path.slice(0, object.path.lastIndexOf('/'));
    const own = byFolder.get(path);
    if (own) own.push(object);
    else byFolder.set(path, [object]);
  }
  const root = joinS3(address, '').slice(0, -1);
  const copies: Copy[] = [];
  for (const [path, own] of byFolder) {
    const manifest = own.find((one) => fileOf(one.path) === manifestName);
    const name = fileOf(path);
    const within =
      [joinS3(root, name), joinS3(root, `checkpoints/${name}`)].includes(path) && isCheckpoint(name);
    if (!manifest || !(path === root || within)) continue;
    const head = await readObject(manifest, 0, Math.min(manifest.bytes, headBytes));
    copies.push({ path, manifest, objects: own, ...placeInRun(name, head.toString()) });
  }
  return copies.sort((a, b) => b.epochs - a.epochs || b.steps - a.steps);
}

/**
 * A folder on this machine with a checkpoint of a bucket, which is whole or is not there: as it was fetched before, else
 * fetched. Who loads it compares every file with its checksum.
 */
export async function fetchCopy({ path, manifest, objects }: Copy): Promise<string> {
  const key = createHash('sha256').update(`${path} ${manifest.version}`).digest('hex').slice(0, 32);
  const root = join(cacheFolder(), 'checkpoints');
  const folder = join(root, key, fileOf(path));
  if (existsSync(folder)) {
    await utimes(join(root, key), new Date(), new Date());
    return folder;
  }
  makeFolder(join(root, key), 0o700);
  const temporary = join(root, key, `.${process.pid}.${Date.now()}`);
  await fetchInto(temporary, objects);
  await rename(temporary, folder).catch(async (error: unknown) => {
    await rm(temporary, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  });
  await keepFew(root);
  return folder;
}

/** Fetches the files of a checkpoint into a folder that is made. */
export async function fetchInto(folder: string, objects: readonly S3Object[]): Promise<void> {
  await mkdir(folder);
  try {
    for (const object of objects) {
      const name = fileOf(object.path);
      if (!plainName.test(name))
        throw new UserError('CHECKPOINT_CORRUPT', `${object.path} is no file of a checkpoint`);
      await fetchObject(object, join(folder, name));
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function keepFew(root: string): Promise<void> {
  const folders: { folder: string; at: number }[] = [];
  for (const name of await readdir(root))
    if (/^[0-9a-f]{32}$/.test(name)) {
      const folder = join(root, name);
      // Another process may have removed it.
      const found = await stat(folder).catch(() => undefined);
      if (found) folders.push({ folder, at: found.mtimeMs });
    }
  for (const { folder } of folders.sort((a, b) => b.at - a.at).slice(mostKept))
    await rm(folder, { recursive: true, force: true });
}
