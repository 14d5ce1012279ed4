import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, PodDistError, UserError } from '../util/errors.js';

/** How long an operation is tried. */
export interface Patience {
  /** Tries in a row that bring nothing new, before it fails; default 6. */
  tries?: number;
  /** Milliseconds before the second try, doubled after each up to 10 s; default 250. */
  pauseMs?: number;
  /** Milliseconds that one try may take, besides a second for each 100 kB; default 30,000. */
  tryMs?: number;
}

/** One thing that is done to objects. */
interface Operation<Result> extends Patience {
  /** What it is, as in `read s3://bucket/key`. */
  what: string;
  /** Bytes that travel. */
  bytes?: number;
  work(signal: AbortSignal): Promise<Result>;
  /** Bytes that have come so far. */
  progress?(): number;
}

const slowestBytesPerMs = 100;
/** Bytes of a try; fewer do not count as something new. */
const leastProgress = 32 * 1024;
const longestPauseMs = 10_000;

/**
 * Does something to objects, again where the network or the server fails: after a pause that doubles, with a share drawn
 * at random so that the workers of a job do not all come back at once. Each try has a deadline.
 *
 * @throws UserError `FILE_UNUSABLE` for what no further try would change; PodDistError `DOWNLOAD_FAILED` after the last
 */
export async function retried<Result>(operation: Operation<Result>): Promise<Result> {
  const { what, bytes = 0, work, progress = () => 0 } = operation;
  const { tries = 6, pauseMs = 250, tryMs = 30_000 } = operation;
  for (let failures = 0; ;) {
    const before = progress();
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), tryMs + bytes / slowestBytesPerMs);
    try {
      return await work(stop.signal);
    } catch (error) {
      if (error instanceof UserError) throw error;
      const refusal = refusalOf(error);
      if (refusal !== undefined) throw new UserError('FILE_UNUSABLE', `cannot ${what}: ${refusal}`);
      if (progress() - before >= leastProgress) failures = 0;
      failures++;
      if (failures >= tries) {
        const reason = stop.signal.aborted ? `no answer in ${tryMs / 1000} s` : reasonOf(error);
        throw new PodDistError(
          'DOWNLOAD_FAILED',
          `cannot ${what}: ${reason}, ${tries} times: see whether this machine reaches the server, and try again later`,
          { cause: error },
        );
      }
      await pause(Math.min(longestPauseMs, pauseMs * 2 ** (failures - 1)) * (0.5 + Math.random()));
    } finally {
      clearTimeout(timer);
    }
  }
}

interface SdkError {
  name?: string;
  code?: string;
  $metadata?: { httpStatusCode?: number };
}

const answers: Readonly<Record<number, string>> = {
  301: 'its bucket is in another region (AWS_REGION names it)',
  401: 'the server does not know these credentials',
  403: 'permission denied (or the credentials are wrong)',
  404: 'it does not exist',
};

/** Why another try would come to the same; undefined where it may not. */
function refusalOf(error: unknown): string | undefined {
  const { name = '', $metadata } = error as SdkError;
  if (/Credentials|TokenProvider/.test(name))
    return `there are no credentials that work (${messageOf(error)}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE`;
  const status = $metadata?.httpStatusCode;
  if (name === 'NoSuchBucket') return 'there is no such bucket';
  if (name === 'RequestTimeTooSkewed' || name === 'RequestTimeout') return undefined;
  if (status === undefined || status < 300 || status >= 500 || [408, 409, 429].includes(status))
    return undefined;
  return answers[status] ?? reasonOf(error);
}

function reasonOf(error: unknown): string {
  const { name = '', code, $metadata } = error as SdkError;
  const status = $metadata?.httpStatusCode;
  if (status !== undefined && status >= 300) return `the server answers ${status} ${name}`.trim();
  return code ?? messageOf(error);
}
