import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  messageOf,
  PodDistError,
  reportOf,
  StoppedError,
  UserError,
  type ErrorReport,
} from '../src/util/errors.js';
import { printable } from '../src/util/printable.js';
import { fileReason } from '../src/util/regular-file.js';
import { exitCodeOf } from '../src/util/signals.js';

interface Failure extends ErrorReport {
  exitCode: number;
}

/**
 * Tells of the error that a command ends with: one line on standard error, and with `--json` an object on standard
 * output. Returns the exit code; never throws.
 */
export function reportFailure(error: unknown): number {
  const { code, message, exitCode } = failureOf(error);
  process.stderr.write(`pod-dist: ${printable(message)}\n`);
  if (process.argv.includes('--json'))
    process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  return exitCode;
}

const tooManyOpen =
  'too many files are open for the limit of this shell: raise it, as with ulimit -n 4096, and start again';

function failureOf(error: unknown): Failure {
  if (/\bEMFILE\b|too many open files/i.test(messageOf(error)))
    return { code: 'FILE_UNUSABLE', message: tooManyOpen, exitCode: 2 };
  const { path } = error as NodeJS.ErrnoException;
  const reason = fileReason(error);
  if (path !== undefined && reason !== undefined)
    return { code: 'FILE_UNUSABLE', message: `cannot use ${path}: ${reason}`, exitCode: 2 };
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
    writeFileSync(file, error instanceof Error ? (error.stack ?? error.message) : String(error));
    return `; its stack is in ${file}`;
  } catch {
    return '';
  }
}
