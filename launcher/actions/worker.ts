import type { ArgumentsCamelCase } from 'yargs';
import { goOnWithoutConsole } from '../../src/console/console.js';
import { launchVariables, readJobEnvironment, type JobEnvironment } from '../../src/job/join/environment.js';
import { endWithParent, requestsOfParent } from '../../src/job/launch/end-with-parent.js';
import { WorkerStop } from '../../src/job/launch/stop-worker.js';
import type { KeptOutcome } from '../../src/launching/keep-worker.js';
import type { Resume } from '../../src/launching/plan-run.js';
import { work as workAs, type WorkRequest } from '../../src/launching/work.js';
import { endOf } from '../../src/record/job-end.js';
import { PodDistError, resumeAdvice } from '../../src/util/errors.js';
import { endRequests, leaveSignalsToLauncher } from '../../src/util/signals.js';
import { allowedModules, type EndArguments, endRules, type ModuleArguments, overrides } from '../flags.js';
import { endWithMissed } from '../report-failure.js';

export interface WorkerArguments extends ModuleArguments, EndArguments {
  config?: string;
  set: string[];
  out?: string;
  resume?: Resume;
  requireGpu: boolean;
  evaluate?: string;
}

export async function work(args: ArgumentsCamelCase<WorkerArguments>): Promise<void> {
  const place = readJobEnvironment(process.env);
  const { config: file, set, out, resume, requireGpu, evaluate } = args;
  const flags = overrides(args);
  const request: WorkRequest = {
    ...{ file, set, flags, out, resume, requireGpu, evaluate },
    allowed: allowedModules(args),
    args: process.argv.slice(2),
  };
  goOnWithoutConsole();
  const advice = evaluate === undefined ? resumeAdvice : undefined;
  if (place.starter === 'pod-dist') {
    if (!place.outlives) endWithParent();
    leaveSignalsToLauncher();
    if (place.home) return workInKeptPlace(place, request, advice);
    process.channel?.unref();
    await workAs(place, request);
    return;
  }
  if (process.env[launchVariables.hosted] !== undefined) {
    endWithParent();
    process.channel?.unref();
  }
  const requests = endRequests(endRules(args));
  const report = await WorkerStop.run((stop) => workAs(place, request, stop), { requests, advice });
  if (report && place.rank === 0) endWithMissed(report);
}

/** Tells the process that keeps the place how the work has ended; where it does not, the worker counts as lost. */
async function workInKeptPlace(
  place: JobEnvironment,
  request: WorkRequest,
  advice: string | undefined,
): Promise<void> {
  let outcome: KeptOutcome;
  const requests = requestsOfParent();
  process.channel?.unref();
  try {
    outcome = {
      report: await WorkerStop.run((stop) => workAs(place, request, stop), { requests, advice }),
    };
  } catch (error) {
    if (!(error instanceof PodDistError)) throw error;
    outcome = { ended: endOf(error) };
    process.exitCode = 1;
  }
  await new Promise((resolve) => process.send?.(outcome, resolve));
}
