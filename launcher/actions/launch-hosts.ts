import { goOnWithoutConsole } from '../../src/console/console.js';
import { readHostfile, readHosts } from '../../src/launching/hosts/host-list.js';
import { launchNode } from '../../src/launching/hosts/launch-node.js';
import { launchOverHosts } from '../../src/launching/hosts/launch-over-hosts.js';
import { readMeeting, readNodePlace } from '../../src/launching/hosts/node-place.js';
import { errorOfEnds } from '../../src/launching/hosts/worker-ends.js';
import { UserError } from '../../src/util/errors.js';
import { overrides, workerArguments, type EndArguments, type ModuleArguments } from '../flags.js';
import { version } from '../version.js';
import type { HostArguments } from '../host-flags.js';

/** Flags of `launch` that hosts start from. */
interface HostsArguments extends ModuleArguments, EndArguments, HostArguments {
  config?: string;
  set: string[];
  gpus?: string;
  workers?: string;
}

/** Writes a line of a worker, after its rank. */
function output(rank: number, file: 1 | 2, text: string): void {
  (file === 1 ? process.stdout : process.stderr).write(`[${rank}] ${text}\n`);
}

/** Variables that every worker gets where they are set here. */
const always = ['POD_DIST_WEBGPU_ADAPTER', 'TF_CPP_MIN_LOG_LEVEL'];

/** Trains on the hosts that are named, by ssh. */
export async function launchOnHosts(args: HostsArguments): Promise<void> {
  const { hosts, hostfile, config: file, set, env, ssh, rendezvous } = args;
  const flags = overrides({ ...args, workers: undefined });
  const job = {
    hosts: hosts === undefined ? readHostfile(hostfile as string) : readHosts(hosts),
    ...{ file, set, flags, args: workerArguments({ ...args }), variables: variablesOf(env) },
    ssh: ssh.trim().split(/\s+/),
    meeting: rendezvous === undefined ? undefined : readMeeting(rendezvous),
    version: version(),
    notify: (line: string) => void process.stderr.write(`${line}\n`),
    output,
  };
  goOnWithoutConsole();
  const { ends, elastic } = await launchOverHosts(job);
  const error = errorOfEnds(ends, elastic);
  if (error) throw error;
}

function variablesOf(names: readonly string[]): Record<string, string> {
  const missing = names.find((name) => process.env[name] === undefined);
  if (missing !== undefined)
    throw new UserError(
      'USAGE',
      missing.includes('=')
        ? `--env ${missing.split('=')[0]}=...: give the name alone; the value is that of this command's environment`
        : `--env ${missing}: there is no such variable here`,
    );
  const handed = [...always, ...names].filter((name) => process.env[name] !== undefined);
  return Object.fromEntries(handed.map((name) => [name, process.env[name] as string]));
}

/** Trains as one host of a job, each of which something else starts this command on. */
export async function launchOnNode(args: HostsArguments): Promise<void> {
  const { config: file, set, gpus } = args;
  const flags = overrides({ ...args, workers: undefined });
  const place = readNodePlace(args, process.env);
  goOnWithoutConsole();
  const job = { place, file, set, flags, gpus, args: workerArguments({ ...args }), output };
  const { ends, elastic } = await launchNode(job);
  const error = errorOfEnds(ends, elastic);
  if (error) throw error;
}
