import { join } from 'node:path';
import type { EpochMetrics } from '../config/metrics.js';
import { epochMetricsOf } from '../evaluation/totals.js';
import type { Slot } from '../parallel/parameters.js';
import type { OptimiserState } from '../parallel/sharded-state.js';
import type { CentroidLayout } from '../pedcc/layout.js';
import { UserError } from '../util/errors.js';
import { present } from '../util/present.js';
import type { ModuleSource } from '../util/user-module.js';
import type { Checkpoint } from './checkpoint.js';
import { readVerified, type Described } from './files.js';
import { centroidsName, covers, joinShards, shardLength, shardName, type ShardLayout } from './layout.js';
import {
  readManifest,
  stateArrays,
  type DescribedArray,
  type DescribedCentroids,
  type EarlierManifest,
  type Manifest,
  type ShardedManifest,
} from './manifest.js';
import { pluginFile } from './modules.js';
import { readEvaluation } from './stored-evaluation.js';

/**
 * Reads and verifies one checkpoint folder; a `UserError` says what is missing or broken. Settings that an earlier
 * version had and this one has not are passed over, and named through `notify`.
 */
export async function loadCheckpoint(
  folder: string,
  notify: (line: string) => void = () => {},
): Promise<Checkpoint> {
  const { manifest, digest } = readManifest(folder, notify);
  const {
    module,
    plugins = [],
    evaluation = readEvaluation(folder, digest),
    centroids,
    ...about
  } = withoutFiles(manifest);
  const arrays = 'shards' in manifest ? readShards(folder, manifest) : readArrays(folder, manifest);
  return {
    ...about,
    ...arrays,
    ...(evaluation ? { evaluation } : {}),
    ...(centroids ? { centroids: readCentroids(folder, centroids, about) } : {}),
    ...(module ? { module: readModule(join(folder, module.name), module) } : {}),
    ...(plugins.length > 0
      ? {
          plugins: plugins.map((plugin, index) =>
            readModule(join(folder, pluginFile(index, plugin)), plugin),
          ),
        }
      : {}),
  };
}

/** Fields of a manifest besides its arrays. */
function withoutFiles(manifest: Manifest) {
  const {
    format: _format,
    arrays: _arrays,
    delta,
    lossState = delta === undefined ? [] : [delta],
    ...rest
  } = manifest;
  if (rest.epochs === 0 && !('within' in rest && rest.within))
    throw new UserError('CHECKPOINT_CORRUPT', 'a checkpoint of no epoch and no step: use another');
  if (!('shards' in rest)) return { ...rest, lossState };
  const { buckets: _buckets, own: _own, shards: _shards, moving: _moving, ...about } = rest;
  return { ...about, lossState };
}

type Arrays = Pick<Checkpoint, 'weights' | 'state' | 'moving' | 'own'>;

function readShards(folder: string, manifest: ShardedManifest): Arrays {
  const { slots, shards, buckets, arrays: names, own: ownArrays, moving } = manifest;
  const numbers = countOf(slots);
  const layout: ShardLayout = { buckets, names, own: ownArrays, worldSize: shards.length };
  if (!covers(buckets, numbers))
    throw new UserError(
      'CHECKPOINT_CORRUPT',
      `${folder} holds ${buckets.at(-1)?.end ?? 0} weights, but the model of this checkpoint has ${numbers}`,
    );
  const read = shards.map((described, rank) => {
    const file = join(folder, shardName(rank));
    const length = shardLength(rank, layout);
    if (described.bytes !== 4 * length)
      throw new UserError(
        'CHECKPOINT_CORRUPT',
        `${file} holds ${described.bytes} bytes, not ${length} numbers`,
      );
    return numbersOf(readVerified(file, described));
  });
  const { whole, own } = joinShards(read, layout);
  const { weights, ...state } = whole;
  const has = Object.keys(own).length > 0;
  return {
    weights: present(weights, 'the array of weights'),
    state,
    moving: readArray(folder, 'moving', moving),
    ...(has ? { own } : {}),
  };
}

function readArrays(folder: string, { slots, arrays }: EarlierManifest): Arrays {
  const state: OptimiserState = {};
  for (const name of stateArrays) {
    const described = arrays[name];
    if (described) state[name] = readArray(folder, name, described);
  }
  const weights = readArray(folder, 'weights', arrays.weights);
  const numbers = countOf(slots);
  for (const [name, array] of Object.entries({ weights, ...state })) {
    if (array.length === numbers) continue;
    throw new UserError(
      'CHECKPOINT_CORRUPT',
      `${join(folder, `${name}.bin`)} holds ${array.length} numbers, but the model of this checkpoint has ${numbers}`,
    );
  }
  return { weights, state, moving: readArray(folder, 'moving', arrays.moving) };
}

function readArray(folder: string, name: string, described: DescribedArray): Float32Array {
  const { length, sha256 } = described;
  return numbersOf(readVerified(join(folder, `${name}.bin`), { bytes: 4 * length, sha256 }));
}

function numbersOf(bytes: Buffer): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function countOf(slots: readonly Slot[]): number {
  return slots.reduce((sum, { size }) => sum + size, 0);
}

/** The numbers of a checkpoint's epoch as far as they can be read, without its arrays; undefined before its evaluation. */
export async function metricsOf(folder: string): Promise<EpochMetrics | undefined> {
  try {
    const { manifest, digest } = readManifest(folder, () => {});
    const totals = manifest.evaluation ?? readEvaluation(folder, digest);
    return totals && epochMetricsOf(totals, manifest.epoch?.trainLoss ?? NaN);
  } catch {
    return undefined;
  }
}

function readCentroids(
  folder: string,
  { given, ...layout }: DescribedCentroids,
  { classNames }: Pick<Checkpoint, 'classNames'>,
): CentroidLayout {
  const rows = [...layout.rows, ...layout.absent.map(({ row }) => row)];
  if (layout.rows.length !== classNames.length || rows.some((row) => row >= layout.total))
    throw new UserError('CHECKPOINT_CORRUPT', `${folder} has no centroid for each class: use an older one`);
  if (!given) return layout;
  return { ...layout, given: numbersOf(readVerified(join(folder, centroidsName), given)) };
}

function readModule(file: string, { name, ...described }: { name: string } & Described): ModuleSource {
  const text = readVerified(file, described);
  return { name, sha256: described.sha256, text };
}
