import { join } from 'node:path';
import { z } from 'zod';
import { storedSchema, type Config } from '../config/schema.js';
import { completeStored, describeDropped, dropUnknown } from '../config/stored.js';
import { epochMetrics, type EpochMetrics } from '../config/metrics.js';
import { messageOf, UserError } from '../util/errors.js';
import type { ModuleSource } from '../util/user-module.js';
import { readRegularFile } from '../util/regular-file.js';
import { epochMetricsOf, totalsSchema, type EvaluationTotals } from '../evaluation/totals.js';
import { pluginFile, type Modules } from './modules.js';
import { readVerified, type Described } from './files.js';
import { covers, joinShards, shardLength, type OwnArray, type ShardLayout } from './layout.js';
import { stateNames } from '../optim/index.js';
import type { Slot } from '../parallel/parameters.js';
import { verifySeal } from './sealed.js';
import type { OptimiserState } from '../parallel/sharded-state.js';
import type { CentroidLayout } from '../pedcc/layout.js';
import { present } from '../util/present.js';

/**
 * Format 1 had no digest of its manifest, and the evaluation within it. Up to format 2 each array had a file of its own;
 * since then each rank has one.
 */
export const formatVersion = 3;
const stateArrays = [...stateNames, 'residual'] as const;
const arrayNames = ['weights', 'moving', ...stateArrays] as const;
const describedArray = z.object({ length: z.int().min(0), sha256: z.string() });
const describedFile = z.object({ bytes: z.int().min(0), sha256: z.string() });
export const manifestName = 'checkpoint.json';
export const centroidsName = 'centroids.bin';
export const evaluationName = 'evaluation.json';
export const largestManifest = 256 * 1024 * 1024;

/** Side of images in pixels, bounded as in recipes. */
const side = z.int().min(1).max(4096);

const describedModule = describedFile.extend({ name: z.string().regex(/^[^/\\]+$/) });

/** How long no epoch has been better than the best one, by a metric. */
export const stoppingSchema = z.object({
  metric: z.enum(epochMetrics),
  best: z.number(),
  since: z.int().min(0),
});
export type Stopping = z.output<typeof stoppingSchema>;

const centroidsSchema = z.object({
  total: z.int().min(1),
  rows: z.array(z.int().min(0)),
  absent: z.array(z.object({ name: z.string(), row: z.int().min(0) })),
  given: describedFile.optional(),
});

/** Fields of manifests of all formats, with these settings. */
const common = (config: unknown) =>
  z.object({
    epochs: z.int().min(0),
    /** delta, in checkpoints of earlier versions. */
    delta: z.number().optional(),
    lossState: z.array(z.number()).optional(),
    seed: z.int(),
    worldSize: z.int().positive(),
    classNames: z.array(z.string()),
    shape: z.tuple([side, side, z.int().min(1).max(4)]),
    data: z.object({ name: z.string(), images: z.int(), fingerprint: z.string() }).optional(),
    centroidsSha256: z.string().optional(),
    centroids: centroidsSchema.optional(),
    config: storedSchema(config),
    epoch: z.object({ trainLoss: z.number(), seconds: z.number() }).optional(),
    evaluation: totalsSchema.optional(),
    stopping: stoppingSchema.optional(),
    slots: z.array(z.object({ name: z.string(), shape: z.array(z.int()), offset: z.int(), size: z.int() })),
    updates: z.int().min(0).default(0),
    module: describedModule.optional(),
    plugins: z.array(describedModule).max(100).optional(),
  });

const earlierSchema = (config: unknown) =>
  common(config).extend({
    format: z.int().min(1).max(2),
    arrays: z
      .partialRecord(z.enum(arrayNames), describedArray)
      .and(z.object({ weights: describedArray, moving: describedArray })),
  });

const manifestSchema = (config: unknown) =>
  common(config).extend({
    format: z.literal(formatVersion),
    within: z
      .object({
        steps: z.int().positive(),
        step: z.int().positive(),
        lossSum: z.number(),
        lossSums: z.array(z.array(z.number())),
      })
      .optional(),
    buckets: z.array(z.object({ start: z.int().min(0), end: z.int().min(0) })),
    arrays: z
      .array(z.enum(['weights', ...stateArrays]))
      .refine(
        (names) => names[0] === 'weights' && new Set(names).size === names.length,
        'weights, then each once',
      ),
    own: z.array(z.object({ name: z.enum(['residual', 'moving']), length: z.int().min(0) })).max(2),
    shards: z.array(describedFile).min(1).max(65_536),
    moving: describedArray,
  });

type Sharded = z.output<ReturnType<typeof manifestSchema>>;
type Earlier = z.output<ReturnType<typeof earlierSchema>>;
type Manifest = Sharded | Earlier;

const evaluationSchema = z.object({ of: z.string(), totals: totalsSchema });

/** How far a training has come in the middle of an epoch. */
export interface WithinEpoch {
  /** Steps made of the epoch. */
  steps: number;
  /** Steps of the whole run so far. */
  step: number;
  /** Sum of the losses of all images of the epoch's steps. */
  lossSum: number;
  /** Sums that the loss keeps of the epoch, of each rank: one for each of its virtual workers. */
  lossSums: readonly (readonly number[])[];
}

/** Everything that training needs to go on. */
export interface Checkpoint extends Modules {
  /** Epochs trained so far. */
  epochs: number;
  /** Undefined at the end of an epoch. */
  within?: WithinEpoch;
  /** The state that the loss keeps for the next epoch. */
  lossState: readonly number[];
  seed: number;
  worldSize: number;
  classNames: readonly string[];
  /** [height, width, channels] of an image. */
  shape: readonly [number, number, number];
  /** The data set that it was trained on; `images` counts those of training. */
  data?: { name: string; images: number; fingerprint: string };
  centroidsSha256?: string;
  /** Undefined where the classes have as many centroids as there are, in order. */
  centroids?: CentroidLayout;
  config: Config;
  /** Results of the last epoch. */
  epoch?: { trainLoss: number; seconds: number };
  /** What decides on an early end, before that evaluation; undefined where nothing does. */
  stopping?: Stopping;
  /** Evaluation after the last epoch; undefined where the job has ended before it. */
  evaluation?: EvaluationTotals;
  slots: readonly Slot[];
  /** Trainable weights, flat, in the order of `slots`. */
  weights: Float32Array;
  /** Updates of the weights so far. */
  updates: number;
  /** The optimiser's arrays, and what bf16 on the wire has kept back, by name; one number a weight in each. */
  state: OptimiserState;
  /** Moving statistics of the batch-norm layers, flat. */
  moving: Float32Array;
  /**
   * What each rank has of its own, by rank: what bf16 on the wire has kept back in the middle of an epoch, and moving
   * statistics that are not synchronised.
   */
  own?: Partial<Record<OwnArray['name'], readonly Float32Array[]>>;
}

/** The name of a checkpoint's folder, within the folder of a run's checkpoints. */
export function checkpointName({ epochs, within }: Pick<Checkpoint, 'epochs' | 'within'>): string {
  return within ? `step-${String(within.step).padStart(8, '0')}` : `epoch-${String(epochs).padStart(4, '0')}`;
}

/** The name of the file of a rank's numbers. */
export function shardName(rank: number): string {
  return `shard-${rank}.bin`;
}

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

function readShards(folder: string, manifest: Sharded): Arrays {
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

function readArrays(folder: string, { slots, arrays }: Earlier): Arrays {
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

function readArray(folder: string, name: string, described: z.output<typeof describedArray>): Float32Array {
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

function readManifest(folder: string, notify: (line: string) => void) {
  const file = join(folder, manifestName);
  let text: Buffer;
  try {
    text = readRegularFile(file, { mostBytes: largestManifest });
  } catch (error) {
    throw new UserError('CHECKPOINT_NOT_FOUND', `no checkpoint at ${folder}: ${messageOf(error)}`);
  }
  const digest = verifySeal(text);
  const manifest = parseManifest(file, text.toString(), notify);
  if (digest === undefined && manifest.format !== 1)
    throw new UserError('CHECKPOINT_CORRUPT', `${file} does not match its checksum: use an older checkpoint`);
  return { manifest, digest };
}

function parseManifest(file: string, text: string, notify: (line: string) => void): Manifest {
  try {
    const manifest: unknown = JSON.parse(text);
    const { config, format } = (manifest ?? {}) as { config?: unknown; format?: unknown };
    const dropped = dropUnknown(config);
    completeStored(config);
    const parsed = (format === 1 || format === 2 ? earlierSchema : manifestSchema)(config).parse(manifest);
    if (dropped.length > 0) notify(describeDropped(file, dropped));
    return parsed;
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new UserError(
      'CHECKPOINT_CORRUPT',
      `${file} is not a pod-dist checkpoint: ${reason.replace(/\s*\n\s*/g, '; ')}`,
    );
  }
}

/** Undefined for one that is missing, broken, or another checkpoint's: it is made again. */
function readEvaluation(folder: string, of: string | undefined): EvaluationTotals | undefined {
  try {
    const text = readRegularFile(join(folder, evaluationName), { mostBytes: largestManifest });
    if (of === undefined || verifySeal(text) === undefined) return undefined;
    const parsed = evaluationSchema.parse(JSON.parse(text.toString()));
    return parsed.of === of ? parsed.totals : undefined;
  } catch {
    return undefined;
  }
}

function readCentroids(
  folder: string,
  { given, ...layout }: z.output<typeof centroidsSchema>,
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
