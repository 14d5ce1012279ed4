import { hostname } from 'node:os';
import { readCode, type ErrorCode } from '../../util/error-codes.js';
import { evidence, type JobFailure } from './failure.js';

/** The rank that a piece of evidence is about, as far as it is known. */
export type About = Pick<JobFailure, 'rank' | 'host' | 'pid'>;

/** A piece of evidence about a failure, and how much it explains. */
export type Cause = [failure: JobFailure, weight: number];

/** A worker process on this host has ended, as its parent has seen it; `remark` says why a signal may have come. */
export function exited(about: About, code: number | null, signal: NodeJS.Signals | null, remark = ''): Cause {
  const here = { ...about, host: hostname(), user: false };
  return signal
    ? [{ ...here, code: 'KILLED', cause: `killed by signal ${signal}${remark}` }, evidence.signal]
    : [{ ...here, code: 'EXITED', cause: `ended with exit code ${code}` }, evidence.exitCode];
}

/** A worker process on this host has ended, which another process than its parent has seen. */
export function ended(about: About): Cause {
  return [
    { ...about, host: hostname(), user: false, code: 'EXITED', cause: 'its process has ended' },
    evidence.exitCode,
  ];
}

/** Rank `by` has lost its connection to the rank. */
export function lostBy(about: About, by: number): Cause {
  const cause = `lost: its connection to rank ${by} ended`;
  return [{ ...about, code: 'PEER_LOST_BY_OTHERS', cause, user: false }, evidence.lostConnection];
}

/** The rank has lost its connection to the coordinator, and has made another one. */
export function linkLost(about: About): Cause {
  const cause = 'its connection to the coordinator ended';
  return [{ ...about, code: 'COORDINATOR_LOST', cause, user: false }, evidence.lostConnection];
}

/** Codes of ends that somebody has asked for: their message says all. */
const orderly = new Set<ErrorCode>(['STOPPED', 'PREEMPTED', 'CHECKPOINT_MISSED']);

/** The rank reported the error that it ends with. */
export function reported(about: About, error: { code: string; message: string; user: boolean }): Cause {
  const { message, user } = error;
  const code = readCode(error.code);
  if (orderly.has(code)) return [{ ...about, code, cause: message, user: false }, evidence.stopped];
  return [
    { ...about, code, cause: user ? message : `error ${code}: ${message}`, user },
    evidence.reportedError,
  ];
}

/** The rank broke the protocol. */
export function broken(about: About, reason: string): Cause {
  return [
    { ...about, code: 'PROTOCOL_ERROR', cause: `error PROTOCOL_ERROR: ${reason}`, user: false },
    evidence.reportedError,
  ];
}

/** A worker that knows the job's secret cannot be taken in. */
export function refused(reason: string): Cause {
  return [{ code: 'JOIN_REFUSED', cause: reason, user: false }, evidence.reportedError];
}

/** The rank shows no sign of life, or of progress. */
export function stalled(about: About, cause: string): Cause {
  return [{ ...about, code: 'STALLED', cause, user: false }, evidence.stall];
}

/** The workers have not come together in time; `missing` ranks have not joined at all. */
export function notTogether(missing: readonly number[], timeoutMs: number): Cause {
  const what =
    missing.length > 0
      ? `rank${missing.length > 1 ? 's' : ''} ${missing.join(', ')} did not join`
      : 'the ranks could not connect to each other';
  const cause = `${what} within ${timeoutMs / 1000} s: see the workers' logs, or raise distributed.joinTimeoutSeconds`;
  return [{ code: 'JOIN_TIMEOUT', cause, user: false }, evidence.stall];
}

/** Ranks do not have what they must agree on. */
export function disagreed(reason: string): Cause {
  const cause = `error RANKS_DISAGREE: ${reason}`;
  return [{ code: 'RANKS_DISAGREE', cause, user: false }, evidence.reportedError];
}

/** The job is ended for a reason that no worker gave. */
export function stopped(code: ErrorCode, cause: string, user = false): Cause {
  return [{ code, cause, user }, evidence.stopped];
}
