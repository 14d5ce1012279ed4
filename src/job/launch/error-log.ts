import { closeSync, writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import {
  codeOf,
  messageOf,
  PodDistError,
  PreemptedError,
  StoppedError,
  UserError,
} from '../../util/errors.js';
import { openLog } from '../../util/regular-file.js';
import { withSources } from '../../util/source-positions.js';

/**
 * Runs the work of the only worker of a job. Where it fails, its stack goes to the log file and the error says in one
 * line what several workers' errors would say.
 */
export async function withErrorLog<T>(work: Promise<T>, logFile: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof UserError || error instanceof StoppedError || error instanceof PreemptedError)
      throw error;
    await mkdir(dirname(logFile), { recursive: true });
    const log = openLog(logFile);
    writeSync(
      log,
      `${withSources(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`,
    );
    closeSync(log);
    const code = codeOf(error);
    throw new PodDistError(
      code,
      `rank 0 on host ${hostname()}: error ${code}: ${messageOf(error)}; log: ${logFile}`,
      { cause: error },
    );
  }
}
