import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { positionOf } from '../../checkpoint/checkpoints.js';
import { stepsPerEpoch } from '../../data/sampler.js';
import { launchVariables } from '../../job/join/environment.js';
import { newSecret } from '../../job/secret/read-secret.js';
import { removeJobState } from '../../record/job-state.js';
import type { Report } from '../../record/records.js';
import type { RunFolder } from '../../record/run-folder.js';
import { RunRecorder } from '../../record/run-record.js';
import { PodDistError } from '../../util/errors.js';
import { openLog } from '../../util/regular-file.js';
import type { EndRules } from '../../util/signals.js';
import type { RunPlan } from '../plan-run.js';
import { followRun, type FollowHooks } from './follow-run.js';
import { writeJobPlan } from './job-plan.js';

/** Variable in which the agent gets the lock of the run folder. */
export const lockVariable = 'POD_DIST_LOCK';

export interface StartOptions extends FollowHooks {
  folder: RunFolder;
  /** Arguments of `launcher/worker-process.ts`. */
  workerArgs: readonly string[];
  rules: EndRules;
}

/** Trains a planned run in an agent, a process that goes on where this one ends, and follows it to its end. */
export async function trainInAgent(plan: RunPlan, options: StartOptions): Promise<Report> {
  const { folder, workerArgs, rules } = options;
  const { config, devices, images, resume } = plan;
  const resumed = resume && positionOf(resume);
  RunRecorder.open(folder.path, config, resumed).close();
  removeJobState(folder.path);
  const { graceSeconds, maxSeconds } = rules;
  const endAt = maxSeconds === undefined ? undefined : Date.now() + 1000 * (maxSeconds - process.uptime());
  const made = folder.made;
  writeJobPlan(folder.path, {
    ...{ devices, images, resumed, endAt, graceSeconds, made },
    ...{ name: config.name, epochs: config.epochs, stepsPerEpoch: stepsPerEpoch(images, config) },
    workerArgs: [...workerArgs],
  });
  const token = newSecret();
  const started = { pid: startAgent(folder, token) };
  folder.giveTo(started.pid);
  const restart = (lostAt: number) => void startAgent(folder, token, ['--lost-at', String(lostAt)]);
  return followRun(folder.path, { ...options, started, restart });
}

function startAgent(folder: RunFolder, token: string, args: readonly string[] = []): number {
  const script = fileURLToPath(new URL('../../../launcher/cli.js', import.meta.url));
  const log = openLog(join(folder.path, 'logs', 'job.log'));
  try {
    const child = spawn(process.execPath, [script, 'agent', folder.path, ...args], {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, [launchVariables.token]: token, [lockVariable]: folder.lock.file },
    });
    child.on('error', () => {});
    child.unref();
    if (child.pid === undefined)
      throw new PodDistError('START_FAILED', 'the process that runs the job could not be started');
    return child.pid;
  } finally {
    closeSync(log);
  }
}
