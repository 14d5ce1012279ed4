import { existsSync } from 'node:fs';
import { cp, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { findCheckpoint, listCheckpoints, positionOf } from '../checkpoint/checkpoints.js';
import { listCopies } from '../checkpoint/fetch-copy.js';
import { loadConfig, type LoadOptions } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { importPlugins } from '../config/plugins.js';
import { withErrorLog } from '../job/launch/error-log.js';
import { describeIncident, type Incident } from '../job/coordinator/reform.js';
import { runJob } from '../job/launch/job.js';
import { RunCombiner } from '../record/combine.js';
import type { Report } from '../record/records.js';
import { isTrained, lastRunFolder, RunFolder } from '../record/run-folder.js';
import { withLogging } from '../logging/run-logging.js';
import { workerArgsOf } from '../record/job-plan.js';
import { endOf } from '../record/job-end.js';
import { JobStateFile, readJobState, removeJobState, type JobState } from '../record/job-state.js';
import { RunRecorder, type RunListener } from '../record/run-record.js';
import { openTrace } from '../trace/trace-file.js';
import { joinS3 } from '../s3/address.js';
import { makeFolder } from '../util/make-folder.js';
import { setVariables } from '../util/environment.js';
import { resumable, StoppedError, UserError } from '../util/errors.js';
import { neverStopping, untilSignal, type EndRules, type StopSource } from '../util/signals.js';
import { findUserFolder } from '../transport/user-folder.js';
import { trainInAgent } from './agent/start-agent.js';
import { planRun, type RunPlan, type RunRequest } from './plan-run.js';
import { present } from '../util/present.js';

/** Callbacks of a launch, and its source of stop requests. */
export interface LaunchHooks {
  /** Called with lines for people: problems, and changes of settings. */
  notify(line: string): void;
  /** Called after `notify`, with a line for each problem among several workers that the run goes on with. */
  incident?(line: string): void;
  /** Called once everything is checked, with the plan and the run folder; returns the listeners of the run. */
  begin?(plan: RunPlan, folder: string): readonly RunListener[];
  /** Source of requests to stop the run at once; default: none. */
  stopping?: StopSource;
  /** Asks for the end after the step under way, with a checkpoint; its reason is an `EndCause`. */
  ending?: AbortSignal;
  /** Trains an elastic run in a process that goes on where this one ends, by these rules; default: in this one. */
  outliving?: EndRules;
}

/**
 * Trains a run on this host, as `pod-dist launch` does: in this process with one worker, else with one child process a
 * worker. Claims the run folder, or the one to go on with, and holds it until the end.
 *
 * @returns the run's report, once every worker has ended
 * @throws UserError for a mistake in the request; `StoppedError` where it was stopped; else the first cause, a
 *   `PodDistError`
 */
export async function launchRun(request: RunRequest, hooks: LaunchHooks): Promise<Report> {
  let folder = await earlierRun(request, hooks.notify);
  let begun = false;
  try {
    const plan = await planRun(request, folder?.path, hooks.notify);
    const { name, run } = plan.config;
    folder ??= await RunFolder.claim(name, { out: request.out, confidential: run.private });
    let kept: Report | undefined;
    const take = (report: Report) => void (kept = report);
    const keep = { finished: take, amended: take };
    const listeners = [...(hooks.begin?.(plan, folder.path) ?? []), keep];
    begun = true;
    const report = await trainPlan(plan, { folder, listeners, ...hooks });
    folder.release();
    return present(report ?? kept, 'the report');
  } catch (error) {
    if (folder && begun) noteEnd(folder, error);
    if (error instanceof UserError || error instanceof StoppedError) folder?.abandon();
    else folder?.release();
    throw resumable(error);
  }
}

/** Writes why a run that has begun has ended, unless its own process has. What cannot be written is lost. */
function noteEnd({ path, isHeld }: RunFolder, error: unknown): void {
  const former = readJobState(path);
  if (former?.ended || !isHeld() || !isTrained(path)) return;
  try {
    new JobStateFile(path, former).update({ ended: endOf(error) });
  } catch {
    return;
  }
}

/**
 * Folder of the run to go on with, where `resume` is given and the run is there; where its folder has no checkpoint, the
 * newest copy at `checkpoint.copyTo` is brought into it.
 */
async function earlierRun(
  request: RunRequest,
  notify: (line: string) => void,
): Promise<RunFolder | undefined> {
  const { resume, out, file, base, set } = request;
  if (resume === undefined) return undefined;
  const path = out ?? lastRunFolder((await settingsOf({ file, base, set })).name);
  const there = path !== undefined && existsSync(path);
  if (!there || (await listCheckpoints(path)).length === 0) {
    const copied = await fromCopy(request, there ? path : undefined, notify);
    if (copied) return copied;
  }
  if (there) return RunFolder.reclaim(path);
  if (resume === 'start') return undefined;
  throw new UserError(
    'RUN_NOT_FOUND',
    `there is no run ${path ?? 'of this name below runs/'} to go on with: --resume, without =must, starts one`,
  );
}

async function settingsOf(settings: LoadOptions): Promise<Config> {
  await importPlugins(settings);
  return loadConfig(settings);
}

/** A run folder with the newest copy of the run's checkpoints; undefined where there is none. */
async function fromCopy(
  { out, file, base, set, flags }: RunRequest,
  path: string | undefined,
  notify: (line: string) => void,
): Promise<RunFolder | undefined> {
  const own = path && join(path, 'config.yaml');
  const recipe = file ?? (own && !base && existsSync(own) ? own : undefined);
  const { name, run, checkpoint } = await settingsOf({ file: recipe, base, set, flags });
  const { copyTo } = checkpoint;
  if (copyTo === undefined || (await listCopies(copyTo)).length === 0) return undefined;
  const { folder: copy } = await findCheckpoint(copyTo, notify);
  const folder =
    path === undefined
      ? await RunFolder.claim(name, { out, confidential: run.private })
      : await RunFolder.reclaim(path);
  try {
    const checkpoints = join(folder.path, 'checkpoints');
    makeFolder(checkpoints);
    const temporary = join(checkpoints, `.${basename(copy)}.fetched`);
    await cp(copy, temporary, { recursive: true });
    await rename(temporary, join(checkpoints, basename(copy)));
  } catch (error) {
    folder.abandon();
    throw error;
  }
  notify(`goes on from ${joinS3(copyTo, basename(copy))}`);
  return folder;
}

interface RunOptions extends LaunchHooks {
  folder: RunFolder;
  listeners: readonly RunListener[];
}

async function trainPlan(plan: RunPlan, options: RunOptions): Promise<Report | undefined> {
  const { config, devices, resume } = plan;
  const { folder, listeners, notify, incident, stopping = neverStopping, ending, outliving } = options;
  const outDir = folder.path;
  const logDir = join(outDir, 'logs');
  const inAgent = config.elastic.enabled && outliving && findUserFolder(notify) !== undefined;
  if (!inAgent) removeJobState(outDir);
  if (config.workers === 1 && !config.elastic.enabled) {
    setVariables(present(devices.perWorker[0], 'a device').env);
    const { trainAlone } = await import('../training/alone.js');
    const alone = { outDir, resume, listeners, requireGpu: devices.gpu, ending };
    const work = untilSignal(
      (signal) => trainAlone(config, { ...alone, signal: AbortSignal.any([signal, folder.lost]) }),
      stopping,
    );
    await withErrorLog(work, join(logDir, 'rank-0.log'));
    return undefined;
  }
  const more = [...(resume ? ['--resume=must'] : []), ...(devices.gpu ? ['--require-gpu'] : [])];
  if (inAgent) return trainInAgent(plan, { ...options, stopping, workerArgs: more, rules: outliving });
  const workerArgs = workerArgsOf(outDir, more);
  const trace = openTrace(config.trace, { resumed: resume !== undefined, notify });
  try {
    const recorder = RunRecorder.open(outDir, config, resume && positionOf(resume));
    const combiner = new RunCombiner([recorder, ...listeners], config.elastic.enabled);
    try {
      const { lost } = folder;
      const tell = (line: string) => {
        notify(line);
        incident?.(line);
      };
      const job = { config, devices, logDir, workerArgs, combiner, trace, lost, stopping, ending };
      const onIncident = (one: Incident) => {
        recorder.incident(one);
        tell(
          describeIncident(one, {
            workers: config.workers,
            bitwise: config.distributed.bitwise !== undefined,
          }),
        );
      };
      const state = new JobStateFile(outDir);
      const onState = (change: Partial<JobState>) => recorder.job(state, change);
      const run = { folder: outDir, config, images: plan.images };
      const onMissed = (line: string) => combiner.amend(line);
      await withLogging(run, { notify, lost, onMissed }, () =>
        runJob({ onState, ...job, notify: tell, onIncident }),
      );
    } finally {
      recorder.close();
    }
  } finally {
    trace?.close();
  }
  return undefined;
}
