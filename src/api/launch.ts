import { checkConfig } from '../config/load.js';
import { placeModule } from '../config/recipe.js';
import type { ConfigInput } from '../config/schema.js';
import { launchRun } from '../launching/launch-run.js';
import { showRun } from '../launching/show-run.js';
import type { Report } from '../record/records.js';
import type { RunListener } from '../record/run-record.js';
import { StoppedError } from '../util/errors.js';
import { stopOn } from './checkpoint-options.js';

/** Options of `launch`. */
export interface LaunchOptions {
  /** Run folder; default: the first of `runs/<name>`, `runs/<name>-2`, ... that is free. */
  outDir?: string;
  /** Go on from the newest checkpoint in `outDir`, or start where there is none. */
  resume?: boolean;
  /** Stops the job. */
  signal?: AbortSignal;
  /** Called with each line that the command would print: every epoch, and problems. */
  onLine?(line: string): void;
  /** Followers of the run, such as a progress bar. */
  listeners?: readonly RunListener[];
}

/**
 * Trains with `config.workers` worker processes, as the command `pod-dist launch` does, or in this process where there is
 * one, and resolves with the report, once they have ended. Rejects as the command fails: with a `UserError` for a mistake
 * in the input, else with a `PodDistError`, such as `STOPPED` after `signal`.
 *
 * @example
 * import { launch } from 'pod-dist';
 *
 * const learningRate = { schedule: 'constant', rate: 0.1 } as const;
 * const report = await launch(
 *   { workers: 2, epochs: 1, learningRate, data: { name: 'digits' }, model: { name: 'small-cnn' } },
 *   { outDir: 'runs/digits-2', onLine: (line) => console.log(line) },
 * );
 * console.log(report.evalAccuracy, report.samplesPerSecond);
 */
export async function launch(config: ConfigInput, options: LaunchOptions = {}): Promise<Report> {
  const { outDir: out, resume, signal, onLine, listeners = [] } = options;
  const settings = structuredClone(config);
  placeModule(settings, '.');
  const base = checkConfig(settings, 'config');
  if (signal?.aborted) throw new StoppedError();
  return launchRun(
    { base, out, resume: resume ? 'start' : undefined },
    {
      notify: (line) => onLine?.(line),
      begin: (plan, folder) => {
        if (!onLine) return listeners;
        const write = (text: string) =>
          text
            .trimEnd()
            .split('\n')
            .forEach((line) => onLine(line));
        return [...listeners, showRun(plan, folder, { terminal: false, write })];
      },
      stopping: stopOn(signal),
    },
  );
}
