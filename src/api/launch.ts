import { checkConfig } from '../config/load.js';
import { importPlugins } from '../config/plugins.js';
import { placeModules } from '../config/recipe.js';
import type { ConfigInput } from '../config/schema.js';
import { launchRun } from '../launching/launch-run.js';
import { showRun } from '../launching/show-run.js';
import type { Report } from '../record/records.js';
import type { RunListener } from '../record/run-record.js';
import { restoringVariables } from '../util/environment.js';
import { StoppedError } from '../util/errors.js';
import { stopOn } from './checkpoint-options.js';
import { HookCaller, type JobHooks, type RunHooks } from './hooks.js';

/** Options of `train`. */
export interface TrainOptions extends RunHooks {
  /** Run folder; default: the first of `runs/<name>`, `runs/<name>-2`, ... that is free. */
  outDir?: string;
  /** Go on from the newest checkpoint in `outDir`, or start where there is none. */
  resume?: boolean;
  /** Refuse to train without a GPU; default: train on the CPU. */
  requireGpu?: boolean;
  /** Stops the run after the step under way: it rejects with `StoppedError`. */
  signal?: AbortSignal;
  /** Called with each line that the command would print: every epoch, and problems. */
  onLine?(line: string): void;
  /** Followers of the run, such as a progress bar, which must not throw. */
  listeners?: readonly RunListener[];
}

/** Options of `launch`. */
export interface LaunchOptions extends TrainOptions, JobHooks {}

/**
 * Trains in this process, with one worker, whatever `config.workers` says; `launch` trains with several.
 *
 * Native TensorFlow reads threads and devices from the environment alone. While it trains, `process.env` therefore holds
 * them (`TF_NUM_INTRAOP_THREADS`, `OMP_NUM_THREADS`, `CUDA_VISIBLE_DEVICES` and others); afterwards it is as before.
 *
 * @returns the report: accuracy from 0 to 1, images a second, SHA-256 of the weights
 * @throws UserError for a mistake in the input, such as `RUN_EXISTS` or `RUN_BUSY` where `outDir` holds a run already;
 *   `StoppedError` after `signal`; the error of a hook (`RunHooks`); else `PodDistError`
 * @example
 * import { train } from 'pod-dist';
 *
 * const learningRate = { schedule: 'constant', rate: 0.1 } as const;
 * const report = await train(
 *   { epochs: 1, backend: 'wasm', learningRate, data: { name: 'digits' }, model: { name: 'small-cnn' } },
 *   { outDir: 'runs/digits', onEpoch: ({ epoch, trainLoss }) => console.log(epoch + 1, trainLoss) },
 * );
 * console.log(report.evalCorrect, report.weightsSha256);
 */
export async function train(config: ConfigInput, options: TrainOptions = {}): Promise<Report> {
  return launch({ ...config, workers: 1 }, options);
}

/**
 * Trains with `config.workers` worker processes, as the command `pod-dist launch` does, or in this process where there is
 * one.
 *
 * @returns the report, once all workers have ended: accuracy from 0 to 1, images of all workers a second
 * @throws UserError for a mistake in the input; `StoppedError` after `signal`; the error of a hook (`RunHooks`); else
 *   `PodDistError`, the first cause
 * @example
 * import { launch } from 'pod-dist';
 *
 * const learningRate = { schedule: 'constant', rate: 0.1 } as const;
 * const report = await launch(
 *   { workers: 2, epochs: 1, learningRate, data: { name: 'digits' }, model: { name: 'small-cnn' } },
 *   {
 *     outDir: 'runs/digits-2',
 *     onStep: ({ loss }) => {
 *       if (!Number.isFinite(loss)) throw new Error(`the loss is ${loss}`);
 *     },
 *     onCheckpoint: ({ path, epochs }) => console.log(path, epochs),
 *     onIncident: ({ message }) => console.warn(message),
 *   },
 * );
 * console.log(report.evalAccuracy, report.samplesPerSecond);
 */
export async function launch(config: ConfigInput, options: LaunchOptions = {}): Promise<Report> {
  const { outDir: out, resume, requireGpu, signal, onLine, listeners = [] } = options;
  const base = structuredClone(config);
  placeModules(base, '.');
  await importPlugins({ base });
  checkConfig(base, 'config');
  if (signal?.aborted) throw new StoppedError();
  const hooks = new HookCaller(options);
  const stop = AbortSignal.any([hooks.signal, ...(signal ? [signal] : [])]);
  const launching = () =>
    launchRun(
      { base, out, requireGpu, resume: resume ? 'start' : undefined },
      {
        notify: (line) => onLine?.(line),
        incident: (line) => hooks.incident(line),
        begin: (plan, folder) => {
          const followers = [...listeners, hooks.listener(folder)];
          if (!onLine) return followers;
          const write = (text: string) =>
            text
              .trimEnd()
              .split('\n')
              .forEach((line) => onLine(line));
          return [...followers, showRun(plan, folder, { live: false, write })];
        },
        stopping: stopOn(stop),
      },
    );
  return hooks.around(restoringVariables(launching));
}
