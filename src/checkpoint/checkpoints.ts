import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { messageOf, UserError } from '../util/errors.js';
import type { LoadOptions } from '../config/load.js';
import { evaluationOf, loadCheckpoint, type Checkpoint } from './checkpoint.js';
import { reasonOf } from './files.js';
import { openConfig, type AllowedModules } from './modules.js';

/** Checkpoint folders of a run, oldest first. */
export async function listCheckpoints(runFolder: string): Promise<string[]> {
  const folder = join(runFolder, 'checkpoints');
  if (!existsSync(folder)) return [];
  const names = (await readdir(folder)).filter((name) => /^epoch-\d+$/.test(name));
  return names.sort((a, b) => epochsOf(a) - epochsOf(b)).map((name) => join(folder, name));
}

/**
 * The newest checkpoint that is whole, under `path`: a checkpoint folder, or a run folder. A broken newer one is
 * passed over; `notify` is called with one line about it, and about what `loadCheckpoint` passes over.
 */
export async function findCheckpoint(
  path: string,
  notify: (line: string) => void = () => {},
): Promise<{ folder: string; checkpoint: Checkpoint }> {
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
    `${found} under ${path}: give a run folder or one of its checkpoints/epoch-* folders`,
  );
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
 * Writes a part of an epoch into a run's checkpoints. An error says in one line why it failed and which checkpoints exist.
 *
 * @throws UserError `RUN_FOLDER_UNWRITABLE`
 */
export async function writingTo<T>(runFolder: string, what: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const whole = (await listCheckpoints(runFolder)).map((folder) => basename(folder));
    const shown = whole.length > 5 ? [...whole.slice(0, 2), '...', ...whole.slice(-2)] : whole;
    throw new UserError(
      'RUN_FOLDER_UNWRITABLE',
      `cannot write ${what} to ${join(runFolder, 'checkpoints')}: ${reasonOf(error)}; whole checkpoints there: ` +
        `${shown.join(', ') || 'none'}; make room (a smaller checkpoint.keep keeps fewer), then --resume goes on`,
    );
  }
}

export interface Retention {
  /** Newest checkpoints kept; 0: all. */
  keep: number;
  /** Number of checkpoints kept besides: those of the best accuracy, of equal ones the newer. */
  keepBest: number;
}

/** Removes the checkpoints that a run does not keep, and the remains of interrupted writes. */
export async function pruneCheckpoints(runFolder: string, { keep, keepBest }: Retention): Promise<void> {
  const folders = await listCheckpoints(runFolder);
  const parent = join(runFolder, 'checkpoints');
  const leftovers = (await readdir(parent))
    .filter((name) => /^\.epoch-\d+\.\d+$/.test(name))
    .map((name) => join(parent, name));
  const old = keep === 0 ? [] : folders.slice(0, Math.max(folders.length - keep, 0));
  const best = old.length > 0 ? await bestOf(folders, keepBest) : [];
  const removed = [...old.filter((folder) => !best.includes(folder)), ...leftovers];
  await Promise.all(removed.map((folder) => rm(folder, { recursive: true, force: true })));
}

async function bestOf(folders: readonly string[], count: number): Promise<string[]> {
  if (count === 0) return [];
  const scored: { folder: string; accuracy: number }[] = [];
  for (const folder of folders) {
    const totals = await evaluationOf(folder);
    if (totals) scored.unshift({ folder, accuracy: totals.correct / totals.total });
  }
  return scored
    .sort((a, b) => b.accuracy - a.accuracy)
    .slice(0, count)
    .map(({ folder }) => folder);
}

function epochsOf(folder: string): number {
  return Number(basename(folder).slice('epoch-'.length));
}
