import { Packr } from 'msgpackr';
import { z } from 'zod';
import { messageOf, PodDistError } from '../../util/errors.js';
import { printable } from '../../util/printable.js';
import { endCauses } from '../../util/signals.js';
import type { Held } from '../../training/recovery-point.js';
import { traceThreads } from '../../trace/tracer.js';
import { maxMessageBytes } from './frames.js';
import { checkMessagePack, type MessageLimits } from './msgpack-limits.js';
import { present } from '../../util/present.js';

/** Both sides of the control connection must speak the same version. */
export const protocolVersion = 9;

/** Most ranks of a job. */
const mostRanks = 65_536;

/** Limits of a member's message: the confusion matrix of a thousand classes, and many class names, need the most. */
const memberLimits: MessageLimits = { containers: 50_000, values: 4_000_000, depth: 32 };

const rank = z
  .int()
  .min(0)
  .max(mostRanks - 1);
/** One line of text, with characters escaped that would move a terminal's cursor or change its colours. */
const line = (longest: number) => z.string().max(longest).transform(printable);
const name = line(200);
const text = line(4000);
const microseconds = z.number();
const whole = z.int().min(0);
const held: z.ZodType<Held> = z.object({
  at: whole,
  generation: whole,
  rank,
  worldSize: z.int().min(1).max(mostRanks),
  copy: z.boolean(),
});
const endpoints = z
  .record(z.string().max(100), z.string().max(1000))
  .refine((record) => Object.keys(record).length <= 100_000, 'too many endpoints');

/** Messages from a worker to the coordinator. */
export const workerMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    version: z.int(),
    /** Absent for a worker that takes the place of a lost one. */
    rank: rank.optional(),
    worldSize: z.int().min(1).max(mostRanks),
    /** Number of the process in its job; default: its rank. */
    worker: z.int().min(0).optional(),
    /** The host's name, for people. */
    host: name,
    /** Equal for ranks that share memory and socket files, else different. */
    machine: name,
    pid: z
      .int()
      .min(0)
      .max(2 ** 31),
    /** Digest of the configuration that the worker has read. */
    digest: name,
    /** The coordinator's IP address as this rank has reached it; absent where the address was given. */
    reached: name.optional(),
    /** This host's address on the route to the coordinator, where others may reach it. */
    local: name.optional(),
    /** Set for a worker that takes the place of one that has ended: the number of that. */
    replaces: whole.optional(),
    /** Set where the worker's starter keeps a place for it: its rank there, and whether it has the run folder. */
    home: z.object({ rank, leads: z.boolean() }).optional(),
    /** Set for a worker that has been a member before and has lost the coordinator: its last place. */
    again: z.object({ rank: rank.optional(), generation: whole }).optional(),
  }),
  z.object({ type: z.literal('endpoints'), endpoints }),
  z.object({ type: z.literal('connected') }),
  z.object({ type: z.literal('agree'), name, value: text }),
  z.object({ type: z.literal('gather'), name, part: z.unknown() }),
  z.object({ type: z.literal('record'), news: z.unknown() }),
  /** Asks for the coordinator's time; the answer repeats `sent`. */
  z.object({ type: z.literal('clock'), sent: microseconds }),
  z.object({
    type: z.literal('trace'),
    spans: z.array(
      z.object({
        name,
        thread: z.enum(traceThreads),
        start: microseconds,
        end: microseconds,
        details: z.record(z.string().max(100), z.union([text, z.number()])),
      }),
    ),
    /** Offset of this worker's clock from the coordinator's. */
    clock: z.object({ offset: microseconds, error: microseconds }),
  }),
  z.object({
    type: z.literal('beat'),
    /** Counter of the compute thread's progress. */
    progress: z.int().min(0),
    /** Whether the compute thread waits for other ranks. */
    waiting: z.boolean(),
    phase: name,
    /** Whether the phase is one that may take long, such as saving a checkpoint. */
    lengthy: z.boolean().optional(),
    /** Each stream's last collective begun; name and duration of the one under way. */
    collectives: z.array(z.object({ begun: z.int().min(0), name, forMs: z.number().min(0) })).max(16),
    /** Connections to its data ports that were not of this job, so far. */
    strangers: z.int().min(0).optional(),
  }),
  z.object({ type: z.literal('lost'), peer: rank }),
  /** This rank cannot go on in this configuration, through no fault of its own. */
  z.object({
    type: z.literal('stuck'),
    generation: whole,
    code: name,
    message: text,
    /** Ranks that it could not connect to. */
    unreached: z.array(rank).max(mostRanks).optional(),
  }),
  /** This rank has taken the snapshot of this moment. */
  z.object({ type: z.literal('sealed'), at: whole }),
  /** This rank has left its configuration for the next one, and has these snapshots. */
  z.object({ type: z.literal('ready'), generation: whole, held: z.array(held).max(4) }),
  z.object({ type: z.literal('failed'), code: name, message: text, user: z.boolean() }),
  z.object({ type: z.literal('finished') }),
]);
export type WorkerMessage = z.output<typeof workerMessage>;
export type Hello = Extract<WorkerMessage, { type: 'hello' }>;

/** Messages from the coordinator to a worker. */
export const coordinatorMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('refused'), code: name, message: text }),
  z.object({
    type: z.literal('plan'),
    jobId: name,
    /** Counts the configurations of the job; this worker's number, and the number of ranks, in this one. */
    generation: whole,
    rank,
    worldSize: z.int().min(1).max(mostRanks),
    /** Known to the members of this configuration alone: the keys of their connections are derived from it. */
    secret: z.string().max(200),
    /** The snapshot from which the ranks go on; absent: from a checkpoint, or the start. */
    start: z
      .object({ at: whole, generation: whole, root: rank, holders: z.array(rank).max(mostRanks) })
      .optional(),
    /** Each rank's machine, by rank: equal for ranks that share memory and socket files. */
    hosts: z.array(name).max(mostRanks),
    /** The coordinator's IP addresses, as ranks have reached it. */
    reached: z.array(name).max(mostRanks),
    /** Where the job goes on after the loss of its coordinator: the run folder, and each rank's address, in that order. */
    succession: z.object({ folder: text, standby: z.array(name).max(mostRanks) }).optional(),
    /** Ranks of one host are connected over ipc. */
    transport: z.enum(['ipc', 'tcp']),
  }),
  z.object({ type: z.literal('table'), table: z.record(z.string(), endpoints) }),
  z.object({ type: z.literal('go') }),
  /** The present configuration ends: leave it and say that you are ready for this generation. */
  z.object({ type: z.literal('reform'), generation: whole, message: text }),
  /** The others go on without this worker, which nobody of this host ends: it may come again, as a spare. */
  z.object({ type: z.literal('dropped'), message: text }),
  z.object({ type: z.literal('agreed'), name }),
  z.object({ type: z.literal('gathered'), name, result: z.unknown() }),
  /** Answer to a beat. */
  z.object({
    type: z.literal('pulse'),
    /** Records that have come from this worker over this connection. */
    records: whole,
  }),
  /** The worker is to end in order: after the step under way, with a checkpoint. */
  z.object({ type: z.literal('end'), cause: z.enum(endCauses) }),
  z.object({ type: z.literal('clock'), sent: microseconds, answered: microseconds }),
  z.object({
    type: z.literal('abort'),
    message: text,
    /** Where the job ends early and in order: as every rank is to end. */
    ended: z.object({ code: z.enum(['PREEMPTED', 'CHECKPOINT_MISSED']), message: text }).optional(),
  }),
  z.object({ type: z.literal('ended') }),
]);
export type CoordinatorMessage = z.output<typeof coordinatorMessage>;

const packr = new Packr({ useRecords: false });

export function encode(message: WorkerMessage | CoordinatorMessage): Buffer {
  const bytes = packr.pack(message);
  if (bytes.length > maxMessageBytes) {
    throw new PodDistError(
      'PROTOCOL_ERROR',
      `a control message of ${bytes.length} bytes is over the limit of ${maxMessageBytes}`,
    );
  }
  return bytes;
}

/**
 * Reads a control message; anything else than what the schema allows is a `PROTOCOL_ERROR`, found before anything is
 * made of it that is much larger than its bytes.
 */
export function decode<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
  if (bytes.length > maxMessageBytes)
    throw new PodDistError('PROTOCOL_ERROR', `a control message of ${bytes.length} bytes`);
  try {
    checkMessagePack(bytes, memberLimits);
    return schema.parse(packr.unpack(bytes));
  } catch (error) {
    throw new PodDistError(
      'PROTOCOL_ERROR',
      `a message on the control connection is not pod-dist's: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

const anyHello = z.object({ type: z.literal('hello'), version: z.int() });

/** The version of a `hello` that is not of this version; undefined for everything else. */
export function foreignVersion(bytes: Uint8Array): number | undefined {
  try {
    const { version } = decode(anyHello, bytes);
    return version === protocolVersion ? undefined : version;
  } catch {
    return undefined;
  }
}

/** Reason of an error in a few words, without any content of the message. */
function reasonOf(error: unknown): string {
  if (!(error instanceof z.ZodError)) return messageOf(error).slice(0, 100);
  const { path, code } = present(error.issues[0], 'an issue');
  return `${path.length > 0 ? path.map(String).join('.').slice(0, 100) : 'the whole'} (${code.replaceAll('_', ' ')})`;
}
