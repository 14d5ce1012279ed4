import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EvaluationTotals } from '../evaluation/totals.js';
import type { ModuleSource } from '../util/user-module.js';
import type { OptimiserState } from '../parallel/sharded-state.js';
import { PodDistError } from '../util/errors.js';
import { readRegularText } from '../util/regular-file.js';
import type { CentroidLayout } from '../pedcc/layout.js';
import { checkpointName, type Checkpoint } from './checkpoint.js';
import { syncFolder, writeSynced, type Described } from './files.js';
import { pluginFile, type Modules } from './modules.js';
import { centroidsName, cutOut, shardName, type ShardLayout } from './layout.js';
import { formatVersion, largestManifest, manifestName } from './manifest.js';
import { seal } from './sealed.js';
import { saveEvaluation } from './stored-evaluation.js';
import { present } from '../util/present.js';

/** Where a checkpoint is written, and where its files lie until all of them are on disk. */
export interface Destination {
  /** Folder of the run's checkpoints; the one above it must be there. */
  folder: string;
  name: string;
  /** Makes the name of the temporary folder one that no other write has. */
  tag: string;
  /** A file, and words that stand in it while the run belongs to this job. */
  owner?: { file: string; words: string };
}

/** Contents that rank 0 writes once every rank's file is on disk. */
export interface Finish {
  about: Omit<Checkpoint, 'weights' | 'state' | 'moving' | 'own' | keyof Modules | 'evaluation'>;
  layout: Pick<ShardLayout, 'buckets' | 'names' | 'own'>;
  shards: readonly Described[];
  moving: Float32Array;
  modules: Modules;
  evaluation?: EvaluationTotals;
}

/** What all checkpoints of a run have in common. */
export interface RunFacts {
  about: Pick<
    Finish['about'],
    | 'seed'
    | 'worldSize'
    | 'classNames'
    | 'shape'
    | 'data'
    | 'centroidsSha256'
    | 'centroids'
    | 'config'
    | 'slots'
  >;
  modules: Modules;
}

/** What is another in each of them. */
export interface FinishOne extends Omit<Finish, 'about' | 'modules'> {
  about: Omit<Finish['about'], keyof RunFacts['about']>;
}

/** The temporary folder of a checkpoint that is being written. */
export function temporaryFolder({ folder, name, tag }: Destination): string {
  return join(folder, `.${name}.${tag}`);
}

/** Writes a rank's numbers, one array after another, through to the disk. */
export async function writeShard(
  destination: Destination,
  rank: number,
  arrays: readonly Float32Array[],
): Promise<Described> {
  await makeFolders(destination);
  return writeSynced(join(temporaryFolder(destination), shardName(rank)), ...arrays.map(bytesOf));
}

/**
 * Ends a checkpoint whose shards are on disk: writes moving statistics and the backbone where it is a module, then the
 * manifest, which has the SHA-256 of every file and ends with its own, and gives the folder its name. A checkpoint is
 * whole or is not there.
 */
export async function finishCheckpoint(destination: Destination, finish: Finish): Promise<string> {
  const { about, layout, shards, moving, modules, evaluation } = finish;
  const { module, plugins = [] } = modules;
  const temporary = temporaryFolder(destination);
  const { sha256 } = await writeSynced(join(temporary, 'moving.bin'), bytesOf(moving));
  const written = async (file: string, { name, text }: ModuleSource) => ({
    name,
    ...(await writeSynced(join(temporary, file), text)),
  });
  const { epochs, within, centroids, ...rest } = about;
  const manifest = seal({
    // Where it is in the run comes first: it is read without the rest.
    ...{ format: formatVersion, epochs, within, ...rest },
    ...{ buckets: layout.buckets, arrays: layout.names, own: layout.own },
    ...{ shards, moving: { length: moving.length, sha256 } },
    centroids: centroids && (await writeCentroids(temporary, centroids)),
    module: module && (await written(module.name, module)),
    plugins: await Promise.all(plugins.map((plugin, index) => written(pluginFile(index, plugin), plugin))),
  });
  await writeSynced(join(temporary, manifestName), manifest);
  if (evaluation) await saveEvaluation(temporary, evaluation);
  await syncFolder(temporary);
  const final = join(destination.folder, destination.name);
  checkOwner(destination);
  await rm(final, { recursive: true, force: true });
  await rename(temporary, final);
  await syncFolder(destination.folder);
  return final;
}

/** Writes centroids that were given; what the manifest says of centroids. */
async function writeCentroids(folder: string, { given, ...layout }: CentroidLayout) {
  if (!given) return layout;
  return { ...layout, given: await writeSynced(join(folder, centroidsName), bytesOf(given)) };
}

/** Removes what there is of a checkpoint that could not be written. */
export async function discardCheckpoint(destination: Destination): Promise<void> {
  await rm(temporaryFolder(destination), { recursive: true, force: true });
}

/** Writes a whole checkpoint into `folder`, its numbers in so many files. */
export async function saveCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
  { shards: worldSize = 1 }: { shards?: number } = {},
): Promise<string> {
  const { weights, moving, state, own = {}, module, plugins, evaluation, ...about } = checkpoint;
  const destination = { folder, name: checkpointName(checkpoint), tag: String(process.pid) };
  const whole: OptimiserState & { weights: Float32Array } = { weights, ...state };
  const layout: ShardLayout = {
    buckets: [{ start: 0, end: weights.length }],
    names: Object.keys(whole),
    own: Object.entries(own).map(([name, [first]]) => ({
      name: name as keyof typeof own,
      length: first?.length ?? 0,
    })),
    worldSize,
  };
  try {
    const shards: Described[] = [];
    for (let rank = 0; rank < worldSize; rank++) {
      const parts = Object.values(whole).map((array) => cutOut(array, rank, layout));
      const mine = Object.values(own).map((arrays) => present(arrays[rank], `an array of rank ${rank}`));
      shards.push(await writeShard(destination, rank, [...parts, ...mine]));
    }
    return await finishCheckpoint(destination, {
      ...{ about, layout, shards, moving, evaluation },
      modules: { module, plugins },
    });
  } catch (error) {
    await discardCheckpoint(destination).catch(() => {});
    throw error;
  }
}

/** Refuses to write into a run that another job has taken. */
function checkOwner({ folder, owner }: Destination): void {
  if (!owner || readRegularText(owner.file, { mostBytes: largestManifest }).includes(owner.words)) return;
  throw new PodDistError('RUN_FOLDER_LOST', `another job has taken the run of ${folder}`);
}

/** Makes the temporary folder, and the folder of checkpoints where it is missing; not the run folder itself. */
async function makeFolders(destination: Destination): Promise<void> {
  for (const folder of [destination.folder, temporaryFolder(destination)])
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
}

function bytesOf(array: Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
