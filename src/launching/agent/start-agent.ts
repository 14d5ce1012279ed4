import { positionOf } from '../../checkpoint/checkpoints.js';
import { stepsPerEpoch } from '../../data/sampler.js';
import { startAgent } from '../../job/launch/agent-process.js';
import { newSecret } from '../../job/secret/read-secret.js';
import { removeJobState } from '../../record/job-state.js';
import type { Report } from '../../record/records.js';
import type { RunFolder } from '../../record/run-folder.js';
import { RunRecorder } from '../../record/run-record.js';
import type { EndRules } from '../../util/signals.js';
import type { RunPlan } from '../plan-run.js';
import { followRun, type FollowHooks } from './follow-run.js';
import { writeJobPlan } from '../../record/job-plan.js';

export interface StartOptions extends FollowHooks {
  folder: RunFolder;
  /** Arguments of `launcher/worker-process.ts` besides the run folder's. */
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
    ...{ devices, images, resumed, endAt, graceSeconds, made, kept: false },
    ...{ name: config.name, epochs: config.epochs, stepsPerEpoch: stepsPerEpoch(images, config) },
    workerArgs: [...workerArgs],
  });
  const token = newSecret();
  const job = { folder: folder.path, token };
  const started = { pid: startAgent({ ...job, lockFile: folder.lock.file }) };
  folder.giveTo(started.pid);
  const restart = (lostAt: number) => void startAgent({ ...job, lostAt });
  return followRun(folder.path, { ...options, started, restart });
}
