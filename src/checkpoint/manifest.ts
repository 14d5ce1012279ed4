import { join } from 'node:path';
import { z } from 'zod';
import { storedSchema } from '../config/schema.js';
import { completeStored, describeDropped, dropUnknown } from '../config/stored.js';
import { epochMetrics } from '../config/metrics.js';
import { totalsSchema } from '../evaluation/totals.js';
import { stateNames } from '../optim/index.js';
import { messageOf, UserError } from '../util/errors.js';
import { readRegularFile } from '../util/regular-file.js';
import { verifySeal } from './sealed.js';

export const manifestName = 'checkpoint.json';
/** Bytes that a manifest may have. */
export const largestManifest = 256 * 1024 * 1024;

/**
 * Format 1 had no digest of its manifest, and the evaluation within it. Up to format 2 each array had a file of its own;
 * since then each rank has one.
 */
export const formatVersion = 3;
/** Names of the arrays of the optimiser's state. */
export const stateArrays = [...stateNames, 'residual'] as const;
const arrayNames = ['weights', 'moving', ...stateArrays] as const;
const describedArray = z.object({ length: z.int().min(0), sha256: z.string() });
/** A file of one array: how many numbers it has, and its digest. */
export type DescribedArray = z.output<typeof describedArray>;
const describedFile = z.object({ bytes: z.int().min(0), sha256: z.string() });

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
export type DescribedCentroids = z.output<typeof centroidsSchema>;

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

/** A manifest of this format. */
export type ShardedManifest = z.output<ReturnType<typeof manifestSchema>>;
/** A manifest of an earlier format, with one file an array. */
export type EarlierManifest = z.output<ReturnType<typeof earlierSchema>>;
export type Manifest = ShardedManifest | EarlierManifest;

/**
 * The manifest of a checkpoint folder, and its digest, which format 1 has none of. Settings that this version does not have
 * are passed over, and named through `notify`.
 *
 * @throws UserError `CHECKPOINT_NOT_FOUND` or `CHECKPOINT_CORRUPT`
 */
export function readManifest(
  folder: string,
  notify: (line: string) => void,
): { manifest: Manifest; digest: string | undefined } {
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
