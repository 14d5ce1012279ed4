import { lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { UserError } from '../util/errors.js';
import { requireReplaceable } from '../util/regular-file.js';
import { reportPage } from './page.js';
import { readRuns } from './run.js';

/** The written report. */
export interface WrittenReport {
  file: string;
  bytes: number;
  /** Missing parts of the runs, a line each. */
  gaps: string[];
}

/**
 * Writes one page about the runs in these folders to `file`; default: `report.html` in the run folder, or in the current
 * folder for several runs.
 *
 * @throws UserError `USAGE` for no folder, `RUN_NOT_FOUND`, or `FILE_UNUSABLE` where the page cannot be written
 */
export function writeReport(folders: readonly string[], file?: string): WrittenReport {
  const [first, ...others] = folders;
  if (first === undefined) throw new UserError('USAGE', 'a report takes one run folder or more');
  const runs = readRuns(folders);
  const target = file ?? (others.length === 0 ? join(first, 'report.html') : 'report.html');
  requireReplaceable(target);
  if (file === undefined && lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink())
    throw new UserError('FILE_UNUSABLE', `${target} is a link, through which nothing is written: give --out`);
  writeFileAtomicSync(target, reportPage(runs));
  const gaps = runs.flatMap(({ folder, gaps }) => gaps.map((gap) => `${folder}: ${gap}`));
  return { file: target, bytes: statSync(target).size, gaps };
}
