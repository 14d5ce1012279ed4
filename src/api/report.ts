import { writeReport, type WrittenReport } from '../report/index.js';

/** Options of `report`. */
export interface ReportOptions {
  /** Run folders, one or more, to show side by side. */
  runs: readonly string[];
  /** The page; default: `report.html` in the run folder, or in the current folder for several runs. */
  out?: string;
}

/**
 * Writes one HTML page about runs, as the command `pod-dist report` does: curves, confusions, angles, times. The page
 * needs no network.
 *
 * @returns the file, its size in bytes, and what is missing of the runs, a line each
 * @throws UserError `USAGE` for no folder, `RUN_NOT_FOUND`, or `FILE_UNUSABLE` where the page cannot be written
 * @example
 * import { report } from 'pod-dist';
 *
 * const { file, bytes, gaps } = await report({ runs: ['runs/digits'] });
 * console.log(file, bytes, gaps);
 */
export async function report({ runs, out }: ReportOptions): Promise<WrittenReport> {
  return writeReport(runs, out);
}
