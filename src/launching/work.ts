import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { devicesOf } from '../backend/backends.js';
import { threadVariables } from '../backend/devices/cpu-plan.js';
import { initBackend, type Backend } from '../backend/index.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { findCheckpoint, listCheckpoints, openCheckpoint, positionOf } from '../checkpoint/checkpoints.js';
import { noneAllowed, storedPlugins } from '../checkpoint/modules.js';
import { loadConfig, settingsOf } from '../config/load.js';
import { importPlugins, pluginsOf } from '../config/plugins.js';
import type { Config } from '../config/schema.js';
import { openDataset, openUnknown } from '../data/index.js';
import { evaluateCheckpoint } from '../inference/evaluate-checkpoint.js';
import { extractFeatures } from '../inference/extract-features.js';
import { isConsequence } from '../job/coordinator/failure.js';
import { workerThreads } from '../job/join/worker-threads.js';
import type { JobEnvironment } from '../job/join/environment.js';
import { joinJob, type JoinJobOptions, type Met } from '../job/join/join-job.js';
import type { WorkStop } from '../job/launch/stop-worker.js';
import type { Membership } from '../job/member/membership.js';
import { backendOptions } from '../parallel/bitwise.js';
import { isForTasks } from '../record/job-plan.js';
import type { Report } from '../record/records.js';
import { lastRunFolder, RunFolder } from '../record/run-folder.js';
import { checkpointToResume, checkUnfinished, describeChanges } from '../training/resume.js';
import { trainElastic } from '../training/train-elastic.js';
import { train } from '../training/train.js';
import { trySteps, type Trial } from '../training/trial.js';
import { setVariables } from '../util/environment.js';
import { codeOf, PreemptedError, StoppedError, UserError } from '../util/errors.js';
import { withSources } from '../util/source-positions.js';
import { jobUnderWay } from './job-under-way.js';
import { keepWorker, type Moved } from './keep-worker.js';
import type { Resume } from './plan-run.js';
import { modulesOfRun, trustedConfig, type GivenSettings } from './trusted-config.js';

/** Request to one rank: to train, or to evaluate a checkpoint. */
export interface WorkRequest extends GivenSettings {
  /** Recipe: a YAML file, or the name of a shipped one; default: the run's own on a resume, else `digits`. */
  file?: string;
  /** Run folder. */
  out?: string;
  resume?: Resume;
  requireGpu?: boolean;
  /** A checkpoint to evaluate in place of training. */
  evaluate?: string;
  /** Folder to write features with that checkpoint to, in place of an evaluation. */
  features?: string;
  /** Steps to try in place of a training. */
  trial?: Trial;
  /** Arguments of the command that does the same work in another process. */
  args: readonly string[];
}

/**
 * Works as one rank of a job: joins it, then trains or evaluates with all the others. Where no launcher of pod-dist's
 * does, rank 0 runs the coordinator and holds the run folder.
 *
 * @returns the run's report; undefined for an evaluation
 * @throws UserError for a mistake in the request; `StoppedError` where `stop` stops it; `PreemptedError` where it asks for an
 *   end in order; else the first cause of the job
 */
export async function work(
  place: JobEnvironment,
  request: WorkRequest,
  stop: WorkStop = {},
): Promise<Report | undefined> {
  const say = (line: string) => void (place.rank === 0 && process.stderr.write(`${line}\n`));
  const { set, flags, allowed = noneAllowed } = request;
  const checkpoint = request.evaluate
    ? (await openCheckpoint(request.evaluate, { allowed, set, notify: say })).checkpoint
    : undefined;
  const loaded = checkpoint
    ? loadConfig({ base: checkpoint.config, set, flags })
    : await readConfig(request, say);
  const config: Config = { ...loaded, workers: place.worldSize };
  const threads = workerThreads(place);
  setVariables(threadVariables(threads, process.env));
  if (place.starter !== 'pod-dist')
    setVariables(await devicesOf(config.backend).ofLocalRank(place.localRank));
  const kept = config.elastic.enabled && place.starter !== 'pod-dist' && !checkpoint;
  const options = { request, config, place, checkpoint, threads, stop, say };
  const earlier = kept ? earlierFolder(request, config) : undefined;
  const underWay = earlier === undefined ? undefined : await jobUnderWay(earlier);
  if (underWay && earlier !== undefined) return takePart(earlier, underWay, options);
  const folder = await claimFolder(request, config, place, kept);
  try {
    const report = await (kept ? keepPlace(folder, options) : workIn(folder, options));
    folder?.release();
    return report;
  } catch (error) {
    if (error instanceof UserError || error instanceof StoppedError) folder?.abandon();
    else folder?.release();
    throw error;
  }
}

/**
 * Reads the named recipe; without one, where the request goes on with a run, the run's own, as `launch` does. Every
 * rank reads the same: a run has a checkpoint only once all ranks have joined it.
 */
async function readConfig(request: WorkRequest, notify: (line: string) => void): Promise<Config> {
  const { file, set, flags = [], allowed = noneAllowed } = request;
  const folder = file === undefined ? await runWithCheckpoint(request) : undefined;
  if (folder === undefined) {
    await importPlugins({ file, set, flags });
    return loadConfig({ file, set, flags });
  }
  const own = { file: join(folder, 'config.yaml'), set };
  const { settings } = settingsOf(own);
  const hasModules =
    pluginsOf(settings).length > 0 || (settings.model as { name?: unknown } | undefined)?.name === 'module';
  const stored = modulesOfRun(folder, hasModules ? (await findCheckpoint(folder)).checkpoint : undefined);
  const plugins = storedPlugins(stored.folder, stored.modules, allowed);
  const imported = await importPlugins({ ...own, flags }, plugins);
  const config = loadConfig({ ...own, flags: [...flags, ...imported], onDropped: notify });
  return trustedConfig(config, { given: request, folder, stored, notify });
}

/** Folder of the run to go on with, where it has its recipe and a checkpoint. */
async function runWithCheckpoint({ resume, out, set }: WorkRequest): Promise<string | undefined> {
  if (resume === undefined) return undefined;
  if (out === undefined) await importPlugins({ set });
  const folder = out ?? lastRunFolder(loadConfig({ set }).name);
  if (folder === undefined || !existsSync(join(folder, 'config.yaml'))) return undefined;
  return (await listCheckpoints(folder)).length > 0 ? folder : undefined;
}

interface WorkOptions {
  request: WorkRequest;
  config: Config;
  place: JobEnvironment;
  /** Checkpoint to evaluate. */
  checkpoint?: Checkpoint;
  threads: number;
  stop: WorkStop;
  say(line: string): void;
}

/** Lets a worker of its own work in this rank's place of an elastic job, and replaces it where it is lost. */
async function keepPlace(folder: RunFolder | undefined, options: WorkOptions): Promise<Report | undefined> {
  const { join } = await prepare(folder, options);
  return keepWorker({ ...keeping(folder?.path, options), join });
}

/** Does so in a job that is under way without this task. */
async function takePart(path: string, underWay: Met, options: WorkOptions): Promise<Report | undefined> {
  const { config, place } = options;
  const join: JoinJobOptions = { place, config, outDir: path, evaluate: false, notify: printLine };
  printLine(`rank ${place.rank}: the job in ${path} is under way: this task takes part in it`);
  return keepWorker({ ...keeping(path, options), join, underWay });
}

function keeping(path: string | undefined, { request, config, place, threads, stop }: WorkOptions) {
  const args = [...request.args, ...(path !== undefined && request.out === undefined ? ['--out', path] : [])];
  return { config, place, threads, args, stop, say: printLine };
}

function printLine(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** The run folder, and the checkpoint that rank 0 goes on from. */
async function prepare(folder: RunFolder | undefined, options: WorkOptions) {
  const { request, config, place, checkpoint, say } = options;
  const outDir = folder?.path ?? request.out ?? '';
  const resume =
    request.resume && place.rank === 0 ? await checkpointToResume(outDir, request.resume, say) : undefined;
  if (resume) checkUnfinished(outDir, resume, config);
  const join: JoinJobOptions = {
    ...{ place, config, outDir },
    lockFile: folder?.lock.file,
    resumed: resume && positionOf(resume),
    evaluate: checkpoint !== undefined || request.trial !== undefined,
    notify: printLine,
  };
  return { outDir, resume, join };
}

async function workIn(folder: RunFolder | undefined, options: WorkOptions): Promise<Report | undefined> {
  const { request, config, place, checkpoint, threads, stop, say } = options;
  const { outDir, resume, join } = await prepare(folder, options);
  const { requireGpu } = request;
  let starting: Promise<Backend> | undefined;
  const startBackend = (member: Membership) => {
    member.lengthy('start the backend');
    // A model is evaluated in float32 where it cannot be in its own precision.
    const precision = checkpoint ? undefined : config.precision;
    return initBackend(config.backend, { ...backendOptions(config), precision, requireGpu });
  };
  const startAhead = (member: Membership) => {
    starting = startBackend(member);
    starting.catch(() => {});
  };
  // Where this process runs the coordinator, or is a spare, it has something else to do until the others are there.
  const meanwhile = place.starter === 'pod-dist' ? startAhead : undefined;
  const { member, own } = await joinJob({ ...join, meanwhile });
  try {
    stop.member = member;
    if (place.home) member.onMoved = (address) => process.send?.({ moved: address } satisfies Moved);
    const backend = await (starting ?? startBackend(member));
    member.lengthy('open the data set');
    const notify = place.localRank === 0 ? undefined : () => {};
    const evaluated = checkpoint?.classNames;
    const { features } = request;
    const unclassed = checkpoint && features ? await openUnknown(config, checkpoint) : undefined;
    const dataset =
      unclassed ?? (await openDataset(config.data, { seed: config.seed, threads, evaluated, notify }));
    const { tracer } = member;
    let report: Report | undefined;
    try {
      if (checkpoint) {
        const { communicator } = member;
        const about = { checkpoint, config, dataset, communicator, reporter: member };
        const onNotice = place.rank === 0 ? say : undefined;
        await (features
          ? extractFeatures({ ...about, folder: features })
          : evaluateCheckpoint({ ...about, onNotice }));
      } else if (request.trial) {
        const { communicator } = member;
        await trySteps({ config, dataset, communicator, reporter: member, backend }, request.trial);
      } else {
        const changes = resume && folder && (await describeChanges(resume, config, dataset));
        if (changes) say(changes);
        const job = {
          config,
          dataset,
          reporter: member,
          backend,
          outDir,
          resume,
          tracer,
          signal: stop.signal,
          ending: AbortSignal.any([member.ending, ...(stop.ending ? [stop.ending] : [])]),
        };
        if (config.elastic.enabled) return await trainElastic(job, member);
        report = await train({ ...job, communicator: member.communicator });
      }
    } finally {
      await dataset.close();
    }
    await member.finish();
    return own ? await own.finished(report) : report;
  } catch (error) {
    await member.fail(error);
    if (!(error instanceof UserError || error instanceof PreemptedError))
      console.error(withSources(inspect(error)));
    const cause = await own?.failure();
    if (cause && isConsequence(codeOf(error))) throw cause;
    throw error;
  } finally {
    await member.close();
    await own?.stop();
  }
}

/** The folder of the run that a request goes on with, or names, where there is one already. */
function earlierFolder({ out, resume }: WorkRequest, { name }: Config): string | undefined {
  const earlier = out ?? (resume && lastRunFolder(name));
  return earlier !== undefined && existsSync(earlier) ? earlier : undefined;
}

/**
 * Claims the run folder in rank 0, the only rank that writes. Under `pod-dist launch` the launcher holds it, and none
 * is claimed. Of an elastic job (`lease`) nobody is left who does not touch the lock.
 */
async function claimFolder(
  request: WorkRequest,
  config: Config,
  place: JobEnvironment,
  lease: boolean,
): Promise<RunFolder | undefined> {
  const { out, resume, evaluate } = request;
  if (!place.ownCoordinator || place.rank > 0 || evaluate !== undefined) return undefined;
  const earlier = resume && earlierFolder(request, config);
  if (earlier !== undefined) return RunFolder.reclaim(earlier, { succeeds: lease && isForTasks(earlier) });
  return RunFolder.claim(config.name, { out, confidential: config.run.private });
}
