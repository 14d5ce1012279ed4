import { z } from 'zod';
import { PodDistError } from '../util/errors.js';
import { evaluationPartSchema } from '../evaluation/part-schema.js';
import type { EvaluatedNews } from '../evaluation/evaluate.js';
import type { EvaluationPart } from '../evaluation/summary.js';
import { rankTotalsSchema, type EvaluationTotals } from '../evaluation/totals.js';
import { isCheckpoint } from '../checkpoint/checkpoints.js';
import type { Described } from '../checkpoint/files.js';
import type {
  CheckpointRecord,
  EpochRecord,
  MissedRecord,
  NoticeRecord,
  RankTimes,
  Report,
  StepRecord,
} from './records.js';
import { present } from '../util/present.js';

/** A rank's part of the gather `epoch`. */
export interface EpochPart {
  epoch: number;
  trainLoss: number;
  seconds: number;
  totals: EvaluationTotals;
  /** Undefined for an epoch that has been trained before. */
  times?: RankTimes;
}

/** A rank's part of the gather `finish`. */
export interface FinishPart {
  backend: string;
  device: string;
  parameters: number;
  epochs: number;
  /** Times of all epochs of this run. */
  times: RankTimes;
  centroidsSha256: string;
  weightsSha256: string;
  averageSha256?: string;
  seconds: number;
}

/** A rank's part of the gather `saved`: its files of a checkpoint are on disk, or could not be written. */
export interface SavedPart {
  /** Name of the checkpoint. */
  name: string;
  /** Those that this rank has written, by rank. */
  shards: Described[];
  /** Sums that the loss keeps of the epoch under way. */
  sums: number[];
  /** Why this rank's files are not on disk. */
  failed?: string;
}

export interface EpochResult {
  record: EpochRecord;
  totals: EvaluationTotals;
}

/** The gathers by name: the type of a rank's part, and of the coordinator's result. */
export interface Gathers {
  epoch: { part: EpochPart; result: EpochResult };
  evaluation: { part: EvaluationPart; result: null };
  finish: { part: FinishPart; result: Report };
  /** The result is all parts, by rank. */
  saved: { part: SavedPart; result: SavedPart[] };
}

const whole = z.int().min(0);
const duration = z.number().min(0);
const text = z.string().max(1000);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const times: z.ZodType<RankTimes> = z.object({
  images: whole,
  seconds: duration,
  loaderSeconds: duration,
  exposedSeconds: duration,
});

const epochPart: z.ZodType<EpochPart> = z.object({
  epoch: whole,
  trainLoss: z.number(),
  seconds: duration,
  totals: rankTotalsSchema,
  times: times.optional(),
});

const finishPart: z.ZodType<FinishPart> = z.object({
  backend: text,
  device: text,
  parameters: whole,
  epochs: whole,
  times,
  centroidsSha256: text,
  weightsSha256: sha256,
  averageSha256: sha256.optional(),
  seconds: duration,
});

const checkpointName = z.string().max(40).refine(isCheckpoint, 'no name of a checkpoint');

const savedPart: z.ZodType<SavedPart> = z.object({
  name: checkpointName,
  shards: z.array(z.object({ bytes: whole, sha256 })).max(65_536),
  sums: z.array(z.number()).max(65_536),
  failed: text.optional(),
});

/** A ratio; none, 0/0, of an evaluation without images. */
const ratio = z.union([z.number(), z.nan()]);
const share = z.number().optional();

const epochRecord: z.ZodType<EpochRecord> = z.object({
  kind: z.literal('epoch'),
  epoch: whole,
  trainLoss: z.number(),
  evalCorrect: whole,
  evalTotal: whole,
  evalAccuracy: ratio,
  perClassAccuracy: z.array(z.number()),
  meanCosine: ratio,
  seconds: duration,
  exposedShare: share,
});

const report: z.ZodType<Report> = z.object({
  worldSize: whole,
  backend: text,
  devices: z.array(text).max(65_536),
  parameters: whole,
  epochs: whole,
  evalCorrect: whole,
  evalTotal: whole,
  evalAccuracy: ratio,
  samplesPerSecond: duration,
  exposedShare: share,
  centroidsSha256: text,
  weightsSha256: sha256,
  averageSha256: sha256.optional(),
  seconds: duration,
  missed: z.array(z.string()).optional(),
});

type Schemas = {
  readonly [Name in keyof Gathers]: {
    part: z.ZodType<Gathers[Name]['part']>;
    result: z.ZodType<Gathers[Name]['result']>;
  };
};

const schemas: Schemas = {
  epoch: { part: epochPart, result: z.object({ record: epochRecord, totals: rankTotalsSchema }) },
  evaluation: { part: evaluationPartSchema, result: z.null() },
  finish: { part: finishPart, result: report },
  saved: { part: savedPart, result: z.array(savedPart).max(65_536) },
};

/** Parts of a loss, and how long their names are, at most. */
const mostParts = 20;
const mostName = 40;

/** The parts of the loss stand beside the rest under names of their own. */
const stepRecord = z
  .object({
    kind: z.literal('step'),
    epoch: whole,
    step: whole,
    loss: z.number(),
    lr: z.number(),
    samplesPerSecond: z.number(),
    exposedMs: z.number().optional(),
  })
  .catchall(z.number())
  .refine((record) => {
    const names = Object.keys(record);
    return names.length <= mostParts && names.every((name) => name.length <= mostName);
  }, 'too many parts, or names too long');

export type News = StepRecord | CheckpointRecord | MissedRecord | NoticeRecord | EvaluatedNews;

const news: z.ZodType<News> = z.discriminatedUnion('kind', [
  stepRecord,
  z.object({ kind: z.literal('checkpoint'), name: checkpointName, epochs: whole, steps: whole }),
  z.object({ kind: z.literal('missed'), message: text }),
  z.object({ kind: z.literal('notice'), message: text }),
  z.object({ kind: z.literal('evaluated'), images: whole }),
]);

/**
 * The gather of a name that another process has sent.
 *
 * @throws PodDistError `PROTOCOL_ERROR` where there is none
 */
export function gatherOf(name: string): keyof Gathers {
  for (const known of Object.keys(schemas) as (keyof Gathers)[]) if (known === name) return known;
  throw new PodDistError('PROTOCOL_ERROR', `nothing is gathered under the name '${name}'`);
}

/**
 * Reads a rank's part of a gather, as another process has sent it.
 *
 * @throws PodDistError `PROTOCOL_ERROR` for anything else than what belongs there
 */
export function readPart<Name extends keyof Gathers>(name: Name, part: unknown): Gathers[Name]['part'] {
  return read(schemas[name].part, part, `what it gives for '${name}'`);
}

/**
 * Reads what the coordinator has made of the parts of a gather.
 *
 * @throws PodDistError `PROTOCOL_ERROR` for anything else than what belongs there
 */
export function readResult<Name extends keyof Gathers>(name: Name, result: unknown): Gathers[Name]['result'] {
  return read(schemas[name].result, result, `what the coordinator answers to '${name}'`);
}

/**
 * Reads a rank's message for the record.
 *
 * @throws PodDistError `PROTOCOL_ERROR` for anything else
 */
export function readNews(given: unknown): News {
  return read(news, given, 'what it records');
}

function read<T>(schema: z.ZodType<T>, given: unknown, what: string): T {
  const { success, data, error } = schema.safeParse(given);
  if (success) return data;
  const { path, message } = present(error.issues[0], 'an issue');
  const where =
    path.length > 0 ? ` (${path.map(String).join('.').slice(0, 100)}: ${message.slice(0, 200)})` : '';
  throw new PodDistError('PROTOCOL_ERROR', `${what} is not pod-dist's${where}`);
}
