import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { runJob } from '../job/launch/job.js';
import { RunCombiner } from '../record/combine.js';
import type { StepRecord } from '../record/records.js';
import type { Trial, TrialFacts } from '../training/trial.js';
import { StoppedError, UserError } from '../util/errors.js';
import { neverStopping, type StopSource } from '../util/signals.js';
import { planRun, type RunPlan, type RunRequest } from './plan-run.js';

/** A step of a trial, as rank 0 has recorded it. */
export type TriedStep = StepRecord & TrialFacts;

/** Callbacks of a trial, and its source of stop requests. */
export interface TryHooks {
  /** Called with lines for people. */
  notify(line: string): void;
  /** Called after each step. */
  step?(step: TriedStep): void;
  stopping?: StopSource;
}

/**
 * Plans a run as `launch` does, and tries steps of it with its workers. Nothing is written but logs, which stay where
 * workers fail.
 *
 * @throws as `launchRun`
 */
export async function tryRun(
  request: Omit<RunRequest, 'out' | 'resume'>,
  trialOf: (plan: RunPlan) => Trial,
  { notify, step, stopping = neverStopping }: TryHooks,
): Promise<{ plan: RunPlan; steps: TriedStep[] }> {
  const plan = await planRun(request, undefined, notify);
  const { devices } = plan;
  const { trace: _trace, ...settings } = plan.config;
  const config = { ...settings, elastic: { ...settings.elastic, enabled: false } };
  const folder = await mkdtemp(join(tmpdir(), 'pod-dist-trial-'));
  const file = join(folder, 'config.yaml');
  const steps: TriedStep[] = [];
  let isLogNamed = false;
  try {
    await writeFile(file, stringify(config));
    const workerArgs = [
      ...['--config', file, '--trial', JSON.stringify(trialOf(plan))],
      ...(devices.gpu ? ['--require-gpu'] : []),
    ];
    const listener = {
      step: (record: StepRecord) => {
        steps.push(record as TriedStep);
        step?.(record as TriedStep);
      },
      notice: ({ message }: { message: string }) => notify(message),
    };
    const combiner = new RunCombiner([listener]);
    await runJob({ config, devices, logDir: folder, workerArgs, combiner, notify, stopping });
    return { plan, steps };
  } catch (error) {
    isLogNamed = !(error instanceof UserError || error instanceof StoppedError);
    throw error;
  } finally {
    if (!isLogNamed) await rm(folder, { recursive: true, force: true });
  }
}
