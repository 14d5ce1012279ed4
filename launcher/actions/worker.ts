import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ArgumentsCamelCase } from 'yargs';
import { initBackend } from '../../src/backend/index.js';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { isConsequence } from '../../src/job/coordinator/failure.js';
import { openDataset } from '../../src/data/index.js';
import { codeOf, StoppedError, UserError } from '../../src/util/errors.js';
import { backendOptions } from '../../src/parallel/bitwise.js';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { findCheckpoint, listCheckpoints, openCheckpoint } from '../../src/checkpoint/checkpoints.js';
import { evaluateCheckpoint } from '../../src/inference/evaluate-checkpoint.js';
import { checkpointToResume, checkUnfinished, describeChanges } from '../../src/training/resume.js';
import { lastRunFolder, RunFolder } from '../../src/record/run-folder.js';
import { train } from '../../src/training/train.js';
import { goOnWithoutConsole } from '../../src/console/console.js';
import { devicesOf } from '../../src/backend/backends.js';
import { threadVariables } from '../../src/backend/devices/cpu-plan.js';
import { endWithParent } from '../../src/job/launch/end-with-parent.js';
import { readJobEnvironment, type JobEnvironment } from '../../src/job/join/environment.js';
import { allowedModule, type ModuleArguments, overrides, type Resume } from '../flags.js';
import { trustedConfig } from './trusted-config.js';
import { joinJob } from '../../src/job/join/join-job.js';
import { leaveSignalsToLauncher } from '../../src/util/signals.js';
import { WorkerStop } from '../../src/job/launch/stop-worker.js';
import { workerThreads } from '../../src/job/join/worker-threads.js';

export interface WorkerArguments extends ModuleArguments {
  config?: string;
  set: string[];
  out?: string;
  resume?: Resume;
  requireGpu: boolean;
  evaluate?: string;
}

export async function work(args: ArgumentsCamelCase<WorkerArguments>): Promise<void> {
  const place = readJobEnvironment(process.env);
  if (place.starter !== 'pod-dist') return WorkerStop.run((stop) => workAt(place, args, stop));
  endWithParent();
  leaveSignalsToLauncher();
  await workAt(place, args);
}

async function workAt(
  place: JobEnvironment,
  args: ArgumentsCamelCase<WorkerArguments>,
  stop?: WorkerStop,
): Promise<void> {
  const say = (line: string) => void (place.rank === 0 && process.stderr.write(`${line}\n`));
  const checkpoint = args.evaluate
    ? (await openCheckpoint(args.evaluate, { allow: allowedModule(args), notify: say })).checkpoint
    : undefined;
  const loaded = checkpoint
    ? loadConfig({ base: checkpoint.config, set: args.set, flags: overrides(args) })
    : await readConfig(args, say);
  const config: Config = { ...loaded, workers: place.worldSize };
  const threads = workerThreads(place);
  Object.assign(process.env, threadVariables(threads, process.env));
  if (place.starter !== 'pod-dist')
    Object.assign(process.env, await devicesOf(config.backend).ofLocalRank(place.localRank));
  goOnWithoutConsole();
  const folder = await claimFolder(args, config, place);
  try {
    await workIn(folder, { args, config, place, checkpoint, threads, stop, say });
    folder?.release();
  } catch (error) {
    if (error instanceof UserError || error instanceof StoppedError) folder?.abandon();
    else folder?.release();
    throw error;
  }
}

/**
 * The recipe that is named; without one, where `--resume` goes on with a run, the run's own, as for `launch`. Every rank
 * reads the same: a run has a checkpoint only once all ranks have joined it.
 */
async function readConfig(args: WorkerArguments, notify: (line: string) => void): Promise<Config> {
  const { config: file, set } = args;
  const flags = overrides({ ...args });
  const folder = file === undefined ? await runWithCheckpoint(args) : undefined;
  if (folder === undefined) return loadConfig({ file, set, flags });
  const stored = loadConfig({ file: join(folder, 'config.yaml'), set, flags, onDropped: notify });
  const resume = stored.model.name === 'module' ? (await findCheckpoint(folder)).checkpoint : undefined;
  return trustedConfig(stored, { args, folder, resume, notify });
}

/** The run that `--resume` goes on with, where it has its recipe and a checkpoint. */
async function runWithCheckpoint({ resume, out, set }: WorkerArguments): Promise<string | undefined> {
  if (resume === undefined) return undefined;
  const folder = out ?? lastRunFolder(loadConfig({ set }).name);
  if (folder === undefined || !existsSync(join(folder, 'config.yaml'))) return undefined;
  return (await listCheckpoints(folder)).length > 0 ? folder : undefined;
}

interface WorkOptions {
  args: ArgumentsCamelCase<WorkerArguments>;
  config: Config;
  place: JobEnvironment;
  /** To be evaluated. */
  checkpoint?: Checkpoint;
  threads: number;
  stop?: WorkerStop;
  say(line: string): void;
}

async function workIn(
  folder: RunFolder | undefined,
  { args, config, place, checkpoint, threads, stop, say }: WorkOptions,
): Promise<void> {
  const outDir = folder?.path ?? args.out ?? '';
  const resume =
    args.resume && place.rank === 0 ? await checkpointToResume(outDir, args.resume, say) : undefined;
  if (resume) checkUnfinished(outDir, resume, config);
  const { member, own } = await joinJob({
    place,
    config,
    outDir,
    lockFile: folder?.lock.file,
    resumedEpochs: resume?.epochs,
    evaluate: checkpoint !== undefined,
    notify: (line) => void process.stderr.write(`${line}\n`),
  });
  try {
    if (stop) stop.member = member;
    member.lengthy('start the backend');
    const { requireGpu } = args;
    const backend = await initBackend(config.backend, { ...backendOptions(config), requireGpu });
    member.lengthy('open the data set');
    const notify = place.localRank === 0 ? undefined : () => {};
    const evaluated = checkpoint?.classNames;
    const dataset = await openDataset(config.data, { seed: config.seed, threads, evaluated, notify });
    const { communicator, tracer } = member;
    try {
      if (checkpoint) {
        await evaluateCheckpoint({ checkpoint, config, dataset, communicator, reporter: member });
      } else {
        const changes = resume && folder && (await describeChanges(resume, config, dataset));
        if (changes) say(changes);
        const job = { config, dataset, communicator, reporter: member, backend, outDir };
        await train({ ...job, resume, tracer, signal: stop?.signal });
      }
    } finally {
      await dataset.close();
    }
    await member.finish();
    await own?.finished();
  } catch (error) {
    await member.fail(error);
    if (!(error instanceof UserError)) console.error(error);
    const cause = await own?.failure();
    if (cause && isConsequence(codeOf(error))) throw cause;
    throw error;
  } finally {
    await member.close();
    await own?.stop();
  }
}

/** Only rank 0 writes. `pod-dist launch` holds the folder that it names; without it rank 0 does, as launch would. */
async function claimFolder(
  { out, resume, evaluate }: WorkerArguments,
  { name, run }: Config,
  place: JobEnvironment,
): Promise<RunFolder | undefined> {
  if (!place.ownCoordinator || place.rank > 0 || evaluate !== undefined) return undefined;
  const earlier = resume && (out ?? lastRunFolder(name));
  if (earlier !== undefined && existsSync(earlier)) return RunFolder.reclaim(earlier);
  return RunFolder.claim(name, { out, confidential: run.private });
}
