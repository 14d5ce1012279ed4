import type { ArgumentsCamelCase } from 'yargs';
import { goOnWithoutConsole } from '../../src/console/console.js';
import { WorkerStop } from '../../src/job/launch/stop-worker.js';
import { joinRun } from '../../src/launching/join-run.js';
import { endRequests } from '../../src/util/signals.js';

export interface JoinArguments {
  run: string;
}

/** Works for a run that is under way; a signal to this process takes it out, and the run goes on. */
export async function join({ run }: ArgumentsCamelCase<JoinArguments>): Promise<void> {
  goOnWithoutConsole();
  await WorkerStop.run(() => joinRun(run, {}), {
    requests: endRequests({ graceSeconds: 0 }),
  });
  process.stdout.write(`${run}: the run has ended\n`);
}
