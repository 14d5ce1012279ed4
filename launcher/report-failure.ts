import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  messageOf,
  PodDistError,
  PreemptedError,
  reportOf,
  StoppedError,
  UserError,
  type ErrorReport,
} from '../src/util/errors.js';
import type { Report } from '../src/record/records.js';
import { errorLine } from '../src/util/error-line.js';
import { printable } from '../src/util/printable.js';
import { fileReason } from '../src/util/regular-file.js';
import { exitCodeOf } from '../src/util/signals.js';
import { withSources } from '../src/util/source-positions.js';
import { addressOf } from './error-page.js';

interface Failure extends ErrorReport {
  exitCode: number;
}

/**
 * Tells of the error that a command ends with: one line on standard error, and with `--json` an object on standard
 * output. Returns the exit code; never throws.
 */
export function reportFailure(error: unknown): number {
  const { code, message, exitCode } = failureOf(error);
  process.stderr.write(`${errorLine({ code, message })}\n`);
  if (process.argv.includes('--json'))
    process.stdout.write(`${JSON.stringify({ error: { code, message, url: addressOf(code) } })}\n`);
  return exitCode;
}

/** Exit code of a run that has trained to its end, or as far as it was to, and could not write all that it should. */
const missedExitCode = 74;
/** Exit code of a job that has ended early and in order, and that is to be started again. */
const preemptedExitCode = 75;

/** Where a run has missed files, says so and lets this process end with the exit code for it. */
export function endWithMissed({ missed = [] }: Report): void {
  const [first] = missed;
  if (first === undefined) return;
  const more = missed.length > 1 ? ` (and ${missed.length - 1} more)` : '';
  process.stderr.write(`pod-dist: the run has trained to its end, but: ${printable(first)}${more}\n`);
  process.exitCode = missedExitCode;
}

const tooManyOpen =
  'too many files are open for the limit of this shell: raise it, as with ulimit -n 4096, and start again';

function failureOf(error: unknown): Failure {
  if (/\bEMFILE\b|too many open file/i.test(messageOf(error)))
    return { code: 'FILE_UNUSABLE', message: tooManyOpen, exitCode: 2 };
  const { path } = error as NodeJS.ErrnoException;
  const reason = fileReason(error);
  if (path !== undefined && reason !== undefined)
    return { code: 'FILE_UNUSABLE', message: `cannot use ${path}: ${reason}`, exitCode: 2 };
  if (error instanceof PreemptedError)
    return { ...reportOf(error), exitCode: error.code === 'PREEMPTED' ? preemptedExitCode : missedExitCode };
  if (error instanceof PodDistError) {
    const stopped = error instanceof StoppedError ? exitCodeOf(error.by) : 1;
    return { ...reportOf(error), exitCode: error instanceof UserError ? 2 : stopped };
  }
  return { code: 'UNEXPECTED', message: `unexpected error: ${messageOf(error)}${kept(error)}`, exitCode: 1 };
}

/** The stack of an error that nobody has foreseen is kept in a file, where there is room for one. */
function kept(error: unknown): string {
  try {
    const file = join(mkdtempSync(join(tmpdir(), 'pod-dist-error-')), 'stack.txt');
    writeFileSync(file, withSources(error instanceof Error ? (error.stack ?? error.message) : String(error)));
    return `; its stack is in ${file}`;
  } catch {
    return '';
  }
}
