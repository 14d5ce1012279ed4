import { existsSync } from 'node:fs';
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { listRuns } from '../../src/record/run-list.js';
import { requireRun } from '../../src/report/run.js';
import { RunServer } from '../../src/ui/server.js';
import { UserError } from '../../src/util/errors.js';
import { followSignals } from '../../src/util/signals.js';
import { summaries } from '../summaries.js';

interface UiArguments {
  runs: string[];
  port: number;
}

/** Runs on one page, at most. */
const mostRuns = 16;

export const uiCommand: CommandModule<object, UiArguments> = {
  command: 'ui [runs..]',
  describe: summaries.ui,
  builder: (yargs) =>
    yargs
      .positional('runs', {
        type: 'string',
        array: true,
        default: [],
        describe: 'run folders (default: those below runs/ that are under way, else the last one)',
      })
      .option('port', {
        type: 'number',
        default: 0,
        requiresArg: true,
        describe: 'port on 127.0.0.1 (default: one that is free)',
      })
      .example('$0 ui', 'what trains now, on a page that stays up to date; Ctrl-C ends it')
      .example('$0 ui runs/pod runs/softmax', 'two runs side by side') as unknown as Argv<UiArguments>,
  handler: ui,
};

async function ui({ runs, port }: ArgumentsCamelCase<UiArguments>): Promise<void> {
  const folders = runs.length > 0 ? [...new Set(runs)] : runsToShow();
  if (folders.length > mostRuns)
    throw new UserError('USAGE', `a page takes ${mostRuns} runs at most, not ${folders.length}`);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UserError('USAGE', `--port ${port}: give a whole number from 0 to 65535`);
  for (const folder of folders) requireRun(folder);
  const stopped = untilSignal();
  const server = await RunServer.open(folders, port);
  process.stdout.write(`${server.link}\n`);
  await stopped;
  await server.close('pod-dist ui has ended');
}

/** The runs below `runs/` that are under way, else the one that was written to last. */
function runsToShow(): string[] {
  const nothing = 'there is no run below runs/: name run folders';
  if (!existsSync('runs')) throw new UserError('RUN_NOT_FOUND', nothing);
  const { runs } = listRuns('runs');
  const [last] = runs.toSorted((a, b) => Date.parse(b.date) - Date.parse(a.date));
  const running = runs.filter(({ state }) => state === 'running');
  if (!last) throw new UserError('RUN_NOT_FOUND', nothing);
  return (running.length > 0 ? running : [last]).map(({ folder }) => folder);
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    const following = followSignals(() => {
      following.stop();
      resolve();
    });
  });
}
