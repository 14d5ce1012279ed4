import { z } from 'zod';
import { readCode } from '../util/error-codes.js';
import {
  codeOf,
  errorOfCode,
  messageOf,
  type PodDistError,
  PreemptedError,
  StoppedError,
  UserError,
} from '../util/errors.js';

/** Why a job has ended before its time, as another process reads it. */
export const jobEndSchema = z.object({
  code: z.string().transform(readCode),
  message: z.string(),
  kind: z.enum(['mistake', 'stopped', 'preempted', 'failure']),
  /** The signal that has stopped it, where one has. */
  by: z.string().optional(),
});

export type JobEnd = z.output<typeof jobEndSchema>;

/** Description, for other processes, of the error that a job has ended with. */
export function endOf(error: unknown): JobEnd {
  const about = { code: codeOf(error), message: messageOf(error) };
  if (error instanceof StoppedError) return { ...about, kind: 'stopped', by: error.by };
  if (error instanceof PreemptedError) return { ...about, kind: 'preempted' };
  return { ...about, kind: error instanceof UserError ? 'mistake' : 'failure' };
}

/** The error that a job in another process has ended with. */
export function errorOf({ code, message, kind, by }: JobEnd): PodDistError {
  switch (kind) {
    case 'mistake':
      return new UserError(code, message);
    case 'stopped':
      return new StoppedError(by);
    default:
      return errorOfCode(code, message);
  }
}
