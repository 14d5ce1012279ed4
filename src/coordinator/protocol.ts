import { Packr } from 'msgpackr';
import { z } from 'zod';
import { PodDistError } from '../errors.js';
import { traceThreads } from '../trace/tracer.js';

/** Both sides of the control connection must speak the same version. */
export const protocolVersion = 4;
const maxBytes = 64 * 2 ** 20;

const rank = z.int().min(0);
const text = z.string().max(100_000);
const microseconds = z.number();
const endpoints = z.record(z.string(), z.string());

/** What a worker says to the coordinator. */
export const workerMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    version: z.int(),
    rank,
    worldSize: z.int().positive(),
    host: text,
    pid: z.int(),
    token: text,
    /** Digest of the configuration that the worker has read. */
    digest: text,
  }),
  z.object({ type: z.literal('endpoints'), endpoints }),
  z.object({ type: z.literal('connected') }),
  z.object({ type: z.literal('agree'), name: text, value: text }),
  z.object({ type: z.literal('gather'), name: text, part: z.unknown() }),
  z.object({ type: z.literal('record'), news: z.unknown() }),
  /** Asks for the coordinator's clock; `sent` comes back. */
  z.object({ type: z.literal('clock'), sent: microseconds }),
  z.object({
    type: z.literal('trace'),
    spans: z.array(
      z.object({
        name: text,
        thread: z.enum(traceThreads),
        start: microseconds,
        end: microseconds,
        details: z.record(z.string(), z.union([text, z.number()])),
      }),
    ),
    /** This worker's clock against the coordinator's. */
    clock: z.object({ offset: microseconds, error: microseconds }),
  }),
  z.object({
    type: z.literal('beat'),
    /** Counts whatever the compute thread gets done. */
    progress: z.int(),
    /** Whether the compute thread waits for other ranks. */
    waiting: z.boolean(),
    phase: text,
    /** Of each stream the last collective begun; name and duration of the one under way. */
    collectives: z.array(z.object({ begun: z.int().min(0), name: text, forMs: z.number().min(0) })),
  }),
  z.object({ type: z.literal('lost'), peer: rank }),
  z.object({ type: z.literal('failed'), code: text, message: text, user: z.boolean() }),
  z.object({ type: z.literal('finished') }),
]);
export type WorkerMessage = z.output<typeof workerMessage>;
export type Hello = Extract<WorkerMessage, { type: 'hello' }>;

/** What the coordinator says to a worker. */
export const coordinatorMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('refused'), code: text, message: text }),
  z.object({
    type: z.literal('plan'),
    jobId: text,
    /** Each rank's host, by rank. */
    hosts: z.array(text),
    /** Ranks of one host are connected over ipc. */
    transport: z.enum(['ipc', 'tcp']),
    /** Folder of the socket files where all ranks share a host; else each host makes its own. */
    directory: text.optional(),
  }),
  z.object({ type: z.literal('table'), table: z.record(z.string(), endpoints) }),
  z.object({ type: z.literal('go') }),
  z.object({ type: z.literal('agreed'), name: text }),
  z.object({ type: z.literal('gathered'), name: text, result: z.unknown() }),
  z.object({ type: z.literal('pulse') }),
  z.object({ type: z.literal('clock'), sent: microseconds, answered: microseconds }),
  z.object({ type: z.literal('abort'), message: text }),
  z.object({ type: z.literal('ended') }),
]);
export type CoordinatorMessage = z.output<typeof coordinatorMessage>;

const packr = new Packr({ useRecords: false });

export function encode(message: WorkerMessage | CoordinatorMessage): Buffer {
  const bytes = packr.pack(message);
  if (bytes.length > maxBytes) {
    throw new PodDistError(
      'PROTOCOL_ERROR',
      `a control message of ${bytes.length} bytes is over the limit of ${maxBytes}`,
    );
  }
  return bytes;
}

/** Reads a control message; anything else than what the schema allows is a `PROTOCOL_ERROR`. */
export function decode<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
  if (bytes.length > maxBytes)
    throw new PodDistError('PROTOCOL_ERROR', `a control message of ${bytes.length} bytes`);
  try {
    return schema.parse(packr.unpack(bytes));
  } catch (error) {
    throw new PodDistError('PROTOCOL_ERROR', "a message on the control connection is not pod-dist's", {
      cause: error,
    });
  }
}
