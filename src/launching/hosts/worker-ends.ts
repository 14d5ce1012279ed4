import { constants } from 'node:os';
import { readErrorLine } from '../../util/error-line.js';
import { PodDistError, PreemptedError, StoppedError, UserError, resumeAdvice } from '../../util/errors.js';
import type { WorkerEnd } from './messages.js';

/** Where rank 0 of a job listens. */
export interface Meeting {
  host: string;
  port: number;
}

/** End of a worker, and the host where it was; `lost`: the connection to its host has ended before. */
export interface PlacedEnd extends WorkerEnd {
  host: string;
  lost?: boolean;
}

/**
 * The error of a job whose workers have ended so; undefined where it has been done. An elastic job is done without workers
 * that were lost. Otherwise the first that has failed counts, a mistake in the input before all others: its last line is
 * that of the job, and its exit code too.
 */
export function errorOfEnds(ends: readonly PlacedEnd[], elastic: boolean): PodDistError | undefined {
  const counted = elastic ? ends.filter(({ lost, signal }) => !lost && signal === null) : ends;
  const failed = (counted.length > 0 ? counted : ends).filter(({ code }) => code !== 0);
  const speaks = ({ last }: PlacedEnd) => readErrorLine(last) !== undefined;
  const mistake = failed.find(({ code }) => code === 2);
  const worst = mistake ?? (failed[0]?.lost ? failed[0] : (failed.find(speaks) ?? failed[0]));
  if (!worst) return undefined;
  const { rank, host, code, signal, last, lost } = worst;
  const how = signal ? `was ended by ${signal}` : `has ended with exit code ${code}`;
  const { message, code: cause = 'EXITED' } = readErrorLine(last) ?? {
    message: `rank ${rank} on host ${host} ${how}${last && `: ${last}`}`,
  };
  if (lost) return new PodDistError('HOST_LOST', `${last}; ${resumeAdvice}`);
  switch (code) {
    case 2:
      return new UserError(cause, message);
    case 74:
    case 75:
      return new PreemptedError(code === 75 ? 'PREEMPTED' : 'CHECKPOINT_MISSED', message);
    default:
      return signalOf(code)
        ? new StoppedError(signalOf(code), { advice: resumeAdvice })
        : new PodDistError(cause, message);
  }
}

/** The signal that a shell's exit code stands for. */
function signalOf(code: number | null): string | undefined {
  if (code === null || code <= 128) return undefined;
  return Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
}
