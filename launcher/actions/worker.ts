import type { ArgumentsCamelCase } from 'yargs';
import { goOnWithoutConsole } from '../../src/console/console.js';
import { readJobEnvironment } from '../../src/job/join/environment.js';
import { endWithParent } from '../../src/job/launch/end-with-parent.js';
import { WorkerStop } from '../../src/job/launch/stop-worker.js';
import type { Resume } from '../../src/launching/plan-run.js';
import { work as workAs, type WorkRequest } from '../../src/launching/work.js';
import { resumeAdvice } from '../../src/util/errors.js';
import { leaveSignalsToLauncher } from '../../src/util/signals.js';
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
  };
  goOnWithoutConsole();
  if (place.starter === 'pod-dist') {
    if (!place.outlives) endWithParent();
    process.channel?.unref();
    leaveSignalsToLauncher();
    await workAs(place, request);
    return;
  }
  const report = await WorkerStop.run((stop) => workAs(place, request, stop), {
    rules: endRules(args),
    advice: evaluate === undefined ? resumeAdvice : undefined,
  });
  if (report && place.rank === 0) endWithMissed(report);
}
