import type { ArgumentsCamelCase } from 'yargs';
import { goOnWithoutConsole } from '../../src/console/console.js';
import { isLive } from '../../src/console/terminal.js';
import type { Display } from '../../src/console/display.js';
import { refuseTask } from '../../src/job/join/environment.js';
import { isNode } from '../../src/launching/hosts/node-place.js';
import { launchRun } from '../../src/launching/launch-run.js';
import type { Resume, RunPlan } from '../../src/launching/plan-run.js';
import { showRun } from '../../src/launching/show-run.js';
import { UserError } from '../../src/util/errors.js';
import { endRequests } from '../../src/util/signals.js';
import { allowedModules, type EndArguments, endRules, type ModuleArguments, overrides } from '../flags.js';
import type { HostArguments } from '../host-flags.js';
import { LivePage } from '../live-page.js';
import { endWithMissed } from '../report-failure.js';
import { printDryRun } from './dry-run.js';

export interface LaunchArguments extends ModuleArguments, EndArguments, HostArguments {
  gpus?: string;
  config?: string;
  set: string[];
  out?: string;
  resume?: Resume;
  requireGpu: boolean;
  dryRun: boolean;
  ui: boolean;
  noOpen: boolean;
  plain: boolean;
  json: boolean;
}

export async function launch(args: ArgumentsCamelCase<LaunchArguments>): Promise<void> {
  const overHosts = args.hosts !== undefined || args.hostfile !== undefined;
  if (overHosts || isNode(args, process.env)) {
    if (args.json)
      throw new UserError(
        'USAGE',
        '--json is for the workers of one command: see report.json in the run folder',
      );
    if (args.dryRun)
      throw new UserError(
        'USAGE',
        '--dry-run is for the workers of one host: leave out --hosts, --hostfile and --nnodes',
      );
    if (args.ui)
      throw new UserError(
        'USAGE',
        '--ui is for the workers of one command: pod-dist ui RUN shows a run, on any host that sees its folder',
      );
    const { launchOnHosts, launchOnNode } = await import('./launch-hosts.js');
    return overHosts ? launchOnHosts(args) : launchOnNode(args);
  }
  refuseTask(process.env);
  const { config: file, set, gpus, out, resume, requireGpu, plain, json } = args;
  const request = { file, set, flags: overrides(args), gpus, out, resume, requireGpu };
  if (args.dryRun) {
    if (resume !== undefined) throw new UserError('USAGE', '--dry-run is for a new run: leave out --resume');
    if (args.ui) throw new UserError('USAGE', '--dry-run trains nothing that could be shown: leave out --ui');
    goOnWithoutConsole();
    return printDryRun({ ...request, allowed: allowedModules(args) }, json);
  }
  let display: Display | undefined;
  let page: LivePage | undefined;
  const begin = (plan: RunPlan, folder: string) => {
    const live = !json && !plain && isLive();
    const write = (text: string) => void (json ? process.stderr : process.stdout).write(text);
    display = showRun(plan, folder, { live, write });
    const say = (line: string) => (display as Display).line(line);
    if (args.ui) page = new LivePage(folder, say, { open: !args.noOpen });
    goOnWithoutConsole();
    return [display];
  };
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  const outliving = endRules(args);
  const hooks = { notify, begin, outliving, ...endRequests(outliving) };
  const report = await launchRun({ ...request, allowed: allowedModules(args) }, hooks).finally(async () => {
    display?.close();
    await page?.close();
  });
  if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
  endWithMissed(report);
}
