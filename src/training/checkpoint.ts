import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { configSchema, type Config } from '../config/schema.js';
import { completeStored, describeDropped, dropUnknown } from '../config/stored.js';
import { messageOf, UserError } from '../errors.js';
import { totalsSchema, type EvaluationTotals } from '../evaluation/totals.js';
import { stateNames } from './optimisers/index.js';
import type { Slot } from './parameters.js';
import type { OptimiserState } from './sharded-state.js';

const formatVersion = 1;
const stateArrays = [...stateNames, 'residual'] as const;
const arrayNames = ['weights', 'moving', ...stateArrays] as const;
const describedArray = z.object({ length: z.int(), sha256: z.string() });

const manifestSchema = z.object({
  format: z.literal(formatVersion),
  epochs: z.int().positive(),
  /** delta, in checkpoints of earlier versions. */
  delta: z.number().optional(),
  lossState: z.array(z.number()).optional(),
  seed: z.int(),
  worldSize: z.int().positive(),
  classNames: z.array(z.string()),
  shape: z.tuple([z.int(), z.int(), z.int()]),
  config: configSchema,
  evaluation: totalsSchema,
  slots: z.array(z.object({ name: z.string(), shape: z.array(z.int()), offset: z.int(), size: z.int() })),
  updates: z.int().min(0).default(0),
  arrays: z
    .partialRecord(z.enum(arrayNames), describedArray)
    .and(z.object({ weights: describedArray, moving: describedArray })),
});

/** Everything that training needs to go on after an epoch. */
export interface Checkpoint {
  /** Epochs trained so far. */
  epochs: number;
  /** What the loss carries into the next epoch. */
  lossState: readonly number[];
  seed: number;
  worldSize: number;
  classNames: readonly string[];
  /** [height, width, channels] of an image. */
  shape: readonly [number, number, number];
  config: Config;
  /** Evaluation after the last epoch. */
  evaluation: EvaluationTotals;
  slots: readonly Slot[];
  /** Trainable weights, flat, in the order of `slots`. */
  weights: Float32Array;
  /** Updates of the weights so far. */
  updates: number;
  /** The optimiser's arrays, and what bf16 on the wire has kept back, by name; one number a weight in each. */
  state: OptimiserState;
  /** Moving statistics of the batch-norm layers, flat. */
  moving: Float32Array;
}

/**
 * Writes `<folder>/epoch-<n>/`: a manifest and a file of little-endian float32 an array, each with its SHA-256. The
 * files are written and synced in a temporary folder beside it, which is then renamed: a checkpoint is whole or is
 * not there.
 */
export async function saveCheckpoint(folder: string, checkpoint: Checkpoint): Promise<string> {
  const final = join(folder, `epoch-${String(checkpoint.epochs).padStart(4, '0')}`);
  const temporary = join(folder, `.${basename(final)}.${process.pid}`);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  const arrays: Record<string, { length: number; sha256: string }> = {};
  const { weights, moving, state, ...rest } = checkpoint;
  for (const [name, array] of Object.entries({ weights, moving, ...state })) {
    const bytes = bytesOf(array);
    arrays[name] = {
      length: array.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    };
    await writeSynced(join(temporary, `${name}.bin`), bytes);
  }
  const manifest = JSON.stringify({ format: formatVersion, ...rest, arrays }, null, 2);
  await writeSynced(join(temporary, 'checkpoint.json'), Buffer.from(manifest));
  await rm(final, { recursive: true, force: true });
  await rename(temporary, final);
  await syncFolder(folder);
  return final;
}

/**
 * Reads and verifies one checkpoint folder; a `UserError` says what is missing or broken. Settings that an earlier
 * version had and this one has not are passed over, and named through `notify`.
 */
export async function loadCheckpoint(
  folder: string,
  notify: (line: string) => void = () => {},
): Promise<Checkpoint> {
  const file = join(folder, 'checkpoint.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new UserError('CHECKPOINT_NOT_FOUND', `no checkpoint at ${folder}: ${messageOf(error)}`);
  }
  const {
    format: _format,
    arrays,
    delta,
    lossState = delta === undefined ? [] : [delta],
    ...rest
  } = parseManifest(file, text, notify);
  const read = (name: string, described: z.output<typeof describedArray>) =>
    readArray(join(folder, `${name}.bin`), described);
  const state: OptimiserState = {};
  for (const name of stateArrays) {
    const described = arrays[name];
    if (described) state[name] = await read(name, described);
  }
  const weights = await read('weights', arrays.weights);
  return { ...rest, lossState, weights, moving: await read('moving', arrays.moving), state };
}

/** Checkpoint folders of a run, oldest first. */
export async function listCheckpoints(runFolder: string): Promise<string[]> {
  const folder = join(runFolder, 'checkpoints');
  if (!existsSync(folder)) return [];
  const names = await readdir(folder);
  return names
    .filter((name) => /^epoch-\d+$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/**
 * The newest checkpoint that is whole, under `path`: a checkpoint folder, or a run folder. A broken newer one is
 * passed over; `notify` is told of it, and of what `loadCheckpoint` passes over.
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

/** Removes all but the newest `keep` checkpoints of a run, and what interrupted writes left. */
export async function pruneCheckpoints(runFolder: string, keep: number | undefined): Promise<void> {
  const folders = await listCheckpoints(runFolder);
  const old = keep === undefined ? [] : folders.slice(0, Math.max(folders.length - keep, 0));
  const parent = join(runFolder, 'checkpoints');
  const leftovers = (await readdir(parent))
    .filter((name) => /^\.epoch-\d+\.\d+$/.test(name))
    .map((name) => join(parent, name));
  await Promise.all([...old, ...leftovers].map((folder) => rm(folder, { recursive: true, force: true })));
}

function parseManifest(
  file: string,
  text: string,
  notify: (line: string) => void,
): z.output<typeof manifestSchema> {
  try {
    const manifest: unknown = JSON.parse(text);
    const { config } = (manifest ?? {}) as { config?: unknown };
    const dropped = dropUnknown(config);
    completeStored(config);
    const parsed = manifestSchema.parse(manifest);
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

async function readArray(file: string, expected: { length: number; sha256: string }): Promise<Float32Array> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new UserError('CHECKPOINT_CORRUPT', `cannot read ${file}: ${messageOf(error)}`);
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (bytes.length !== 4 * expected.length || sha256 !== expected.sha256) {
    throw new UserError('CHECKPOINT_CORRUPT', `${file} does not match its checksum: use an older checkpoint`);
  }
  return new Float32Array(new Uint8Array(bytes).buffer);
}

async function writeSynced(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().catch(() => {});
  await handle.close();
}

function bytesOf(array: Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
