import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { storedSchema, type Config } from '../config/schema.js';
import { completeStored, describeDropped, dropUnknown } from '../config/stored.js';
import { messageOf, UserError } from '../util/errors.js';
import type { ModuleSource } from '../util/user-module.js';
import { readRegularFile } from '../util/regular-file.js';
import { totalsSchema, type EvaluationTotals } from '../evaluation/totals.js';
import { pluginFile, type Modules } from './modules.js';
import { readVerified, syncFolder, writeSynced, type Described } from './files.js';
import { stateNames } from '../optim/index.js';
import type { Slot } from '../parallel/parameters.js';
import { seal, verifySeal } from './sealed.js';
import type { OptimiserState } from '../parallel/sharded-state.js';

/** Format 1 had no digest of its manifest, and the evaluation within it. */
const formatVersion = 2;
const stateArrays = [...stateNames, 'residual'] as const;
const arrayNames = ['weights', 'moving', ...stateArrays] as const;
const describedArray = z.object({ length: z.int().min(0), sha256: z.string() });
const manifestName = 'checkpoint.json';
const evaluationName = 'evaluation.json';
const largestManifest = 256 * 1024 * 1024;

/** Side of images in pixels, bounded as in recipes. */
const side = z.int().min(1).max(4096);

const describedModule = z.object({
  name: z.string().regex(/^[^/\\]+$/),
  bytes: z.int().min(0),
  sha256: z.string(),
});

/** Schema of a manifest with these settings. */
const manifestSchema = (config: unknown) =>
  z.object({
    format: z.int().min(1).max(formatVersion),
    epochs: z.int().positive(),
    /** delta, in checkpoints of earlier versions. */
    delta: z.number().optional(),
    lossState: z.array(z.number()).optional(),
    seed: z.int(),
    worldSize: z.int().positive(),
    classNames: z.array(z.string()),
    shape: z.tuple([side, side, z.int().min(1).max(4)]),
    data: z.object({ name: z.string(), images: z.int(), fingerprint: z.string() }).optional(),
    centroidsSha256: z.string().optional(),
    config: storedSchema(config),
    epoch: z.object({ trainLoss: z.number(), seconds: z.number() }).optional(),
    evaluation: totalsSchema.optional(),
    slots: z.array(z.object({ name: z.string(), shape: z.array(z.int()), offset: z.int(), size: z.int() })),
    updates: z.int().min(0).default(0),
    arrays: z
      .partialRecord(z.enum(arrayNames), describedArray)
      .and(z.object({ weights: describedArray, moving: describedArray })),
    module: describedModule.optional(),
    plugins: z.array(describedModule).max(100).optional(),
  });

const evaluationSchema = z.object({ of: z.string(), totals: totalsSchema });

/** Everything that training needs to go on after an epoch. */
export interface Checkpoint extends Modules {
  /** Epochs trained so far. */
  epochs: number;
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
  config: Config;
  /** Results of the last epoch. */
  epoch?: { trainLoss: number; seconds: number };
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
}

/** The folder of the checkpoint after `epochs` epochs, within the folder of a run's checkpoints. */
export function checkpointFolder(folder: string, epochs: number): string {
  return join(folder, `epoch-${String(epochs).padStart(4, '0')}`);
}

/**
 * Writes `<folder>/epoch-<n>/`: a file of little-endian float32 an array, copies of the user's own modules, and a
 * manifest that ends with its own SHA-256 and holds that of every other file. The files are written and synced in a
 * temporary folder beside it, which is then renamed: a checkpoint is whole or is not there.
 */
export async function saveCheckpoint(folder: string, checkpoint: Checkpoint): Promise<string> {
  const final = checkpointFolder(folder, checkpoint.epochs);
  const temporary = join(folder, `.${basename(final)}.${process.pid}`);
  const { weights, moving, state, module, plugins = [], evaluation, ...rest } = checkpoint;
  try {
    await rm(temporary, { recursive: true, force: true });
    // In two steps: with `recursive` Node calls whatever is wrong with the last folder ENOENT.
    await mkdir(folder, { recursive: true });
    await mkdir(temporary);
    const arrays: Record<string, z.output<typeof describedArray>> = {};
    for (const [name, array] of Object.entries({ weights, moving, ...state })) {
      const { sha256 } = await writeSynced(join(temporary, `${name}.bin`), bytesOf(array));
      arrays[name] = { length: array.length, sha256 };
    }
    const written = async (file: string, { name, text }: ModuleSource) => ({
      name,
      ...(await writeSynced(join(temporary, file), text)),
    });
    const modules = {
      module: module && (await written(module.name, module)),
      plugins: await Promise.all(plugins.map((plugin, index) => written(pluginFile(index, plugin), plugin))),
    };
    const manifest = seal({ format: formatVersion, ...rest, arrays, ...modules });
    await writeSynced(join(temporary, manifestName), manifest);
    if (evaluation) await saveEvaluation(temporary, evaluation);
    await rm(final, { recursive: true, force: true });
    await rename(temporary, final);
    await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
  return final;
}

/** Adds the evaluation to a checkpoint; it belongs to this one alone. */
export async function saveEvaluation(folder: string, totals: EvaluationTotals): Promise<void> {
  const of = verifySeal(readRegularFile(join(folder, manifestName), { mostBytes: largestManifest }));
  await writeFileAtomic(join(folder, evaluationName), seal({ of, totals }));
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
    format: _format,
    arrays,
    module,
    plugins = [],
    evaluation = readEvaluation(folder, digest),
    delta,
    lossState = delta === undefined ? [] : [delta],
    ...rest
  } = manifest;
  const read = (name: string, { length, sha256 }: z.output<typeof describedArray>) => {
    const bytes = readVerified(join(folder, `${name}.bin`), { bytes: 4 * length, sha256 });
    return new Float32Array(new Uint8Array(bytes).buffer);
  };
  const state: OptimiserState = {};
  for (const name of stateArrays) {
    const described = arrays[name];
    if (described) state[name] = read(name, described);
  }
  const weights = read('weights', arrays.weights);
  const checkpoint = { ...rest, lossState, weights, moving: read('moving', arrays.moving), state };
  checkLengths(folder, checkpoint);
  return {
    ...checkpoint,
    ...(evaluation ? { evaluation } : {}),
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

/** The evaluation of a checkpoint folder as far as it can be read, without its arrays; else undefined. */
export async function evaluationOf(folder: string): Promise<EvaluationTotals | undefined> {
  try {
    const { manifest, digest } = readManifest(folder, () => {});
    return manifest.evaluation ?? readEvaluation(folder, digest);
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

function parseManifest(file: string, text: string, notify: (line: string) => void) {
  try {
    const manifest: unknown = JSON.parse(text);
    const { config } = (manifest ?? {}) as { config?: unknown };
    const dropped = dropUnknown(config);
    completeStored(config);
    const parsed = manifestSchema(config).parse(manifest);
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

function readModule(file: string, { name, ...described }: { name: string } & Described): ModuleSource {
  const text = readVerified(file, described);
  return { name, sha256: described.sha256, text };
}

type Arrays = Pick<Checkpoint, 'slots' | 'weights' | 'state'>;

function checkLengths(folder: string, { slots, weights, state }: Arrays): void {
  const numbers = slots.reduce((sum, { size }) => sum + size, 0);
  for (const [name, array] of Object.entries({ weights, ...state })) {
    if (array.length === numbers) continue;
    throw new UserError(
      'CHECKPOINT_CORRUPT',
      `${join(folder, `${name}.bin`)} holds ${array.length} numbers, but the model of this checkpoint has ${numbers}`,
    );
  }
}

function bytesOf(array: Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
