import { closeSync, existsSync, readSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gainOf, type EpochMetrics } from '../config/metrics.js';
import { isS3 } from '../s3/address.js';
import { messageOf, UserError } from '../util/errors.js';
import type { LoadOptions } from '../config/load.js';
import { openConfig, type AllowedModules } from './modules.js';
import type { Retention } from '../config/checkpoint-schema.js';
import { openRegular } from '../util/regular-file.js';
import { isCheckpoint, placeInRun, type Checkpoint } from './checkpoint.js';
import { fetchCopy, listCopies } from './fetch-copy.js';
import { loadCheckpoint, metricsOf } from './load.js';
import { manifestName } from './manifest.js';

const leftover = /^\.(?:epoch|step)-\d+\.\w+$/;

/** Bytes at the start of a manifest that say where in the run it is. */
const headBytes = 400;

export { isCheckpoint } from './checkpoint.js';

/** How far a checkpoint has come. */
export function positionOf({ epochs, within }: Pick<Checkpoint, 'epochs' | 'within'>) {
  return { epochs, steps: within?.steps ?? 0 };
}

/** Checkpoint folders of a run, the one that has come furthest in the training last. */
export async function listCheckpoints(runFolder: string): Promise<string[]> {
  return (await placed(runFolder)).map(({ folder }) => folder);
}

interface Placed {
  folder: string;
  epochs: number;
  steps: number;
}

async function placed(runFolder: string): Promise<Placed[]> {
  const folder = join(runFolder, 'checkpoints');
  if (!existsSync(folder)) return [];
  const names = (await readdir(folder)).filter(isCheckpoint);
  const all = names.map((name) => ({ folder: join(folder, name), ...placeOf(join(folder, name)) }));
  return all.sort((a, b) => a.epochs - b.epochs || a.steps - b.steps || a.folder.localeCompare(b.folder));
}

/**
 * How far a checkpoint has come. The number of steps an epoch may change in a run, so the name of one in the middle of an
 * epoch does not say; one whose manifest does not either is broken, and comes last.
 */
function placeOf(folder: string): { epochs: number; steps: number } {
  if (basename(folder).startsWith('epoch')) return placeInRun(basename(folder), '');
  try {
    const { descriptor } = openRegular(join(folder, manifestName));
    const head = Buffer.alloc(headBytes);
    try {
      readSync(descriptor, head, 0, headBytes, 0);
    } finally {
      closeSync(descriptor);
    }
    return placeInRun(basename(folder), head.toString());
  } catch {
    return placeInRun(basename(folder), '');
  }
}

/**
 * The newest checkpoint that is whole, under `path`: a checkpoint folder, a run folder, or an address of either, from which
 * it is fetched into the cache. A broken newer one is passed over; `notify` is called with one line about it, and about what `loadCheckpoint` passes over.
 */
export async function findCheckpoint(
  path: string,
  notify: (line: string) => void = () => {},
): Promise<{ folder: string; checkpoint: Checkpoint }> {
  if (isS3(path)) return findCopy(path, notify);
  if (existsSync(join(path, 'checkpoint.json')))
    return { folder: path, checkpoint: await loadCheckpoint(path, notify) };
  const folders = await listCheckpoints(path);
  for (const folder of folders.reverse()) {
    try {
      return { folder, checkpoint: await loadCheckpoint(folder, notify) };
    } catch (error) {
      notify(messageOf(error));
    }
  }
  const found = folders.length > 0 ? 'every checkpoint is broken' : 'no checkpoint';
  throw new UserError(
    'CHECKPOINT_NOT_FOUND',
    `${found} under ${path}: give a run folder or one of the folders in its checkpoints/`,
  );
}

async function findCopy(
  address: string,
  notify: (line: string) => void,
): Promise<{ folder: string; checkpoint: Checkpoint }> {
  const copies = await listCopies(address);
  for (const copy of copies) {
    const folder = await fetchCopy(copy);
    try {
      return { folder, checkpoint: await loadCheckpoint(folder, notify) };
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      notify(messageOf(error));
    }
  }
  const found = copies.length > 0 ? 'every checkpoint is broken' : 'no checkpoint';
  throw new UserError('CHECKPOINT_NOT_FOUND', `${found} under ${address}: give checkpoint.copyTo of a run`);
}

interface OpenOptions extends Pick<LoadOptions, 'set'> {
  allowed: AllowedModules;
  notify?(line: string): void;
}

/**
 * As `findCheckpoint`, for a model that is to be built: its plug-ins are imported, and its backbone, where it is a
 * module, is one that may be. Plug-ins that `set` names are imported in place of the checkpoint's.
 *
 * @throws UserError `MODULE_NOT_ALLOWED`, or others for modules that are missing or do not fit
 */
export async function openCheckpoint(
  path: string,
  { notify, ...options }: OpenOptions,
): Promise<{ folder: string; checkpoint: Checkpoint }> {
  const { folder, checkpoint } = await findCheckpoint(path, notify);
  const config = await openConfig(checkpoint.config, checkpoint, { folder, ...options });
  return { folder, checkpoint: { ...checkpoint, config } };
}

/**
 * Removes the checkpoints that a run does not keep, and the remains of interrupted writes. The newest stays in any case, as
 * does `written`, the one that has just been written.
 */
export async function pruneCheckpoints(
  runFolder: string,
  { last, best, everyEpochs }: Retention,
  written?: string,
): Promise<void> {
  const all = await placed(runFolder);
  const parent = join(runFolder, 'checkpoints');
  const leftovers = (await readdir(parent))
    .filter((name) => leftover.test(name))
    .map((name) => join(parent, name));
  const old = last === 0 ? [] : all.slice(0, Math.max(all.length - last, 0));
  const kept = new Set(old.length > 0 ? await bestOf(all, best) : []);
  if (written !== undefined) kept.add(written);
  if (everyEpochs > 0)
    for (const { folder, epochs, steps } of all)
      if (steps === 0 && epochs % everyEpochs === 0) kept.add(folder);
  const removed = old.map(({ folder }) => folder).filter((folder) => !kept.has(folder));
  await Promise.all([...removed, ...leftovers].map((folder) => rm(folder, { recursive: true, force: true })));
}

async function bestOf(all: readonly Placed[], rules: Retention['best']): Promise<string[]> {
  if (rules.length === 0) return [];
  const known: { folder: string; metrics: EpochMetrics }[] = [];
  for (const { folder } of all) {
    const metrics = await metricsOf(folder);
    if (metrics) known.unshift({ folder, metrics });
  }
  return rules.flatMap(({ count, metric }) =>
    known
      .filter(({ metrics }) => !Number.isNaN(metrics[metric]))
      .sort((a, b) => gainOf(metric, b.metrics[metric], a.metrics[metric]))
      .slice(0, count)
      .map(({ folder }) => folder),
  );
}
