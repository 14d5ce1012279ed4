import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';

/** Workers of one host, and where all workers of the job meet. */
export const workersSchema = z.object({
  /** Rank of the first one here. */
  first: z.int().min(0),
  count: z.int().min(1),
  worldSize: z.int().min(1),
  /** Where rank 0 listens. */
  host: z.string(),
  port: z.int().min(1).max(65_535),
  /** The job's secret, where this job has one of its own. */
  token: z.string().optional(),
  /** Arguments of `pod-dist worker`. */
  args: z.array(z.string()),
  /** Variables of the launcher that are handed on. */
  variables: z.record(z.string(), z.string()),
  /** Whether the others go on without a worker that is lost. */
  elastic: z.boolean(),
});
export type HostWorkers = z.infer<typeof workersSchema>;

/** End of a worker process. */
export const endSchema = z.object({
  rank: z.int(),
  code: z.int().nullable(),
  signal: z.string().nullable(),
  /** Last line that it has written to standard error. */
  last: z.string(),
});
export type WorkerEnd = z.infer<typeof endSchema>;

/** Messages of the launcher to the process that it starts on each host, a line each on its standard input. */
export const toHost = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('check'),
    /** Recipe, `--set` and flags, as `loadConfig` takes them. */
    file: z.string().optional(),
    set: z.array(z.string()),
    flags: z.array(z.object({ path: z.string(), value: z.unknown(), source: z.string() })),
    /** Where rank 0 will listen: other hosts try to reach it. */
    meeting: z.object({ host: z.string(), port: z.int() }).optional(),
  }),
  z.object({ type: z.literal('start'), workers: workersSchema }),
  z.object({ type: z.literal('signal'), name: z.string() }),
  z.object({ type: z.literal('pause'), paused: z.boolean() }),
  /** Says that the launcher is there. */
  z.object({ type: z.literal('ping') }),
]);
export type ToHost = z.infer<typeof toHost>;

/** Messages of that process to the launcher, a line each on its standard output. */
export const fromHost = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    version: z.string(),
    /** SHA-256 of the program. */
    build: z.string(),
    node: z.string(),
    /** Port on which it listens until the workers start. */
    port: z.int(),
    /** Addresses of the connection that has started it: the other end's, and this host's. */
    connection: z.object({ from: z.string(), to: z.string() }).optional(),
  }),
  /** It is as it should be; the digest of the configuration as this host reads it. */
  z.object({ type: z.literal('ready'), digest: z.string(), elastic: z.boolean() }),
  z.object({ type: z.literal('problem'), code: z.string(), message: z.string() }),
  z.object({
    type: z.literal('output'),
    rank: z.int(),
    file: z.union([z.literal(1), z.literal(2)]),
    text: z.string(),
  }),
  z.object({ type: z.literal('ended'), ends: z.array(endSchema) }),
]);
export type FromHost = z.infer<typeof fromHost>;

/** Marks lines that are messages: what a login shell prints is passed over. */
const mark = 'pod-dist ';

export function send(stream: Writable, message: ToHost | FromHost): void {
  if (stream.writable) stream.write(`${mark}${JSON.stringify(message)}\n`);
}

/** Calls `listener` with each message of a stream, and resolves at its end. */
export async function receive<T>(
  stream: Readable,
  schema: z.ZodType<T>,
  listener: (message: T) => void,
): Promise<void> {
  stream.on('error', () => {});
  const lines = createInterface({ input: stream, crlfDelay: Infinity });
  lines.on('line', (line) => {
    if (!line.startsWith(mark)) return;
    const message = parsed(line.slice(mark.length), schema);
    if (message !== undefined) listener(message);
  });
  await new Promise((resolve) => lines.once('close', resolve));
}

function parsed<T>(text: string, schema: z.ZodType<T>): T | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
