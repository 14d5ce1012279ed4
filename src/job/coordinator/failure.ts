import type { ErrorCode } from '../../util/error-codes.js';
import { errorOfCode, PodDistError, StoppedError, UserError } from '../../util/errors.js';
import { present } from '../../util/present.js';

/** Why a job has ended early: what its last line says. */
export interface JobFailure {
  /** The rank that caused it; undefined where no single rank did. */
  rank?: number;
  host?: string;
  pid?: number;
  /** Stable code, such as `KILLED`, `STALLED` or the code of the error that the rank raised. */
  code: ErrorCode;
  /** One line: `killed by signal SIGKILL`, `error CODE: message`, `stalled: ...`. */
  cause: string;
  /** Whether it is a mistake in the input: one line, exit code 2. */
  user: boolean;
}

/** The failure in one line: rank, host and cause. */
export function describeFailure({ rank, host, cause }: JobFailure): string {
  if (rank === undefined) return cause;
  return `rank ${rank}${host ? ` on host ${host}` : ''}: ${cause}`;
}

/** The end of every rank where the job ends early and in order. */
export function orderlyEnd({ code, cause }: JobFailure) {
  return code === 'PREEMPTED' || code === 'CHECKPOINT_MISSED' ? { code, message: cause } : undefined;
}

/** The error that a job's failure is for whoever has started it; `log` names where to read more. */
export function errorOfFailure(failure: JobFailure, log?: string): PodDistError {
  const { code, cause, user, rank } = failure;
  if (code === 'STOPPED' && rank === undefined) return new StoppedError(cause || undefined);
  if (orderlyEnd(failure)) return errorOfCode(code, cause);
  if (user) return new UserError(code, cause);
  return new PodDistError(code, `${describeFailure(failure)}${log === undefined ? '' : `; log: ${log}`}`);
}

/**
 * How much a piece of evidence explains. One dying rank makes many errors on the others; the most telling piece that
 * arrives within a short grace is the root cause.
 */
export const evidence = {
  stall: 1,
  lostConnection: 2,
  exitCode: 3,
  reportedError: 4,
  signal: 5,
  stopped: 6,
} as const;

/** Codes of errors that follow from another rank's failure. */
const consequences = new Set<ErrorCode>([
  'PEER_LOST',
  'JOB_ABORTED',
  'COLLECTIVE_TIMEOUT',
  'COORDINATOR_LOST',
]);

/** Whether an error of this code follows from what has happened elsewhere. */
export function isConsequence(code: ErrorCode): boolean {
  return consequences.has(code);
}

/** Codes of failures that would come again: a mistake, or a training that does not work. */
const recurring = new Set<ErrorCode>([
  'STOPPED',
  'PREEMPTED',
  'CHECKPOINT_MISSED',
  'START_FAILED',
  'PROTOCOL_ERROR',
  'RANKS_DISAGREE',
  'COLLECTIVE_MISMATCH',
  'SILENT_CORRUPTION',
  'LOSS_NOT_FINITE',
  'GRADIENT_NOT_FINITE',
  'COORDINATOR_FAILED',
  'RUN_FOLDER_LOST',
]);

/** Whether a failure of this code would come again, so that a second try is of no use. */
export function wouldComeAgain(code: ErrorCode): boolean {
  return recurring.has(code);
}

interface Evidence {
  failure: JobFailure;
  weight: number;
}

/**
 * Collects evidence and settles on the root cause once the grace is over.
 *
 * A rank's own report explains its end, however the process ended: after it has reported an error it may still be
 * killed, or fail in its last steps.
 */
export class RootCause {
  readonly settled: Promise<JobFailure>;
  private resolve!: (failure: JobFailure) => void;
  private best: Evidence | undefined;
  /** End of the process of each rank, by rank. */
  private readonly ends = new Map<number | undefined, Evidence>();
  private readonly told = new Set<number | undefined>();
  /** Ranks that have come to other values in a step that was made again. */
  private readonly corrupt = new Set<number | undefined>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly graceMs: number) {
    this.settled = new Promise((resolve) => (this.resolve = resolve));
  }

  add(failure: JobFailure, weight: number): void {
    const real = consequences.has(failure.code) ? Math.min(weight, evidence.stall) : weight;
    const piece = { failure, weight: real };
    if (weight === evidence.reportedError) this.told.add(failure.rank);
    if (failure.code === 'SILENT_CORRUPTION') this.corrupt.add(failure.rank);
    if (weight === evidence.exitCode || weight === evidence.signal) {
      if (!this.ends.has(failure.rank)) this.ends.set(failure.rank, piece);
    } else this.best = heavier(this.best, piece);
    this.timer ??= setTimeout(() => this.settle(), this.graceMs);
  }

  get found(): boolean {
    return this.timer !== undefined;
  }

  private settle(): void {
    const unexplained = [...this.ends].filter(([rank]) => !this.told.has(rank)).map(([, end]) => end);
    const [first] = this.ends.values();
    const cause = present(unexplained.reduce(heavier, this.best) ?? first, 'a cause');
    this.resolve(this.corrupt.size > 1 ? untold(cause.failure) : cause.failure);
  }
}

/** The failure where the fault of one rank has reached others: it may be any of them. */
function untold(failure: JobFailure): JobFailure {
  if (failure.code !== 'SILENT_CORRUPTION') return failure;
  const cause =
    'error SILENT_CORRUPTION: several ranks have come to other values in a step that was made again from the same state: the processor or memory of one of them is at fault';
  return { ...failure, rank: undefined, host: undefined, pid: undefined, cause };
}

/** The piece that explains more; of equals the first. */
function heavier(one: Evidence | undefined, other: Evidence): Evidence {
  return one === undefined || other.weight > one.weight ? other : one;
}
