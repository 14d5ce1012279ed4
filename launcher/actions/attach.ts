import type { ArgumentsCamelCase } from 'yargs';
import { goOnWithoutConsole } from '../../src/console/console.js';
import { isLive } from '../../src/console/terminal.js';
import { agentOf, followRun } from '../../src/launching/agent/follow-run.js';
import { showRunUnderWay } from '../../src/launching/show-run.js';
import { endWithMissed } from '../report-failure.js';

export interface AttachArguments {
  run: string;
  plain: boolean;
  json: boolean;
}

/** Follows a run that is under way; a signal to this process ends it alone. */
export async function attach({ run, plain, json }: ArgumentsCamelCase<AttachArguments>): Promise<void> {
  agentOf(run);
  const live = !json && !plain && isLive();
  const write = (text: string) => void (json ? process.stderr : process.stdout).write(text);
  const display = showRunUnderWay(run, { live, write });
  goOnWithoutConsole();
  const notify = (line: string) => display.line(line);
  const report = await followRun(run, { notify, listeners: [display] }).finally(() => display.close());
  if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
  endWithMissed(report);
}
