import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PodDistError } from '../../util/errors.js';
import { openLog } from '../../util/regular-file.js';
import { launchVariables } from '../join/environment.js';

/** What an agent starts with. */
export interface AgentStart {
  /** Run folder, with the plan of its job. */
  folder: string;
  /** The job's secret. */
  token: string;
  /** Lock of the folder, where the process that starts the agent gives it. */
  lockFile?: string;
  /** When the agent was lost whose job it takes over, in milliseconds since 1970. */
  lostAt?: number;
  /** Term of that agent, which is ended first where it is still there, without a word. */
  depose?: number;
  /** Earliest time at which it takes the job over, in milliseconds since 1970: it may be started ahead of that. */
  notBefore?: number;
  /** This host's address, as other hosts reach it. */
  host?: string;
}

/** Variables that say which worker a process is. */
const ofWorkers = [...Object.values(launchVariables), 'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE'];

/**
 * Starts `pod-dist agent`, in a session of its own, so that neither a terminal's end nor that of this process ends it. What
 * it prints goes to the run's `logs/job.log`.
 *
 * @returns its process id
 * @throws PodDistError `START_FAILED`
 */
export function startAgent({ folder, token, lockFile, lostAt, depose, notBefore, host }: AgentStart): number {
  const script = fileURLToPath(new URL('../../../launcher/cli.js', import.meta.url));
  const args = [
    ...(lostAt === undefined ? [] : ['--lost-at', String(lostAt)]),
    ...(depose === undefined ? [] : ['--depose', String(depose)]),
    ...(notBefore === undefined ? [] : ['--not-before', String(notBefore)]),
    ...(host === undefined ? [] : ['--host', host]),
  ];
  const environment = Object.entries(process.env).filter(([name]) => !ofWorkers.includes(name));
  const log = openLog(join(folder, 'logs', 'job.log'));
  try {
    const child = spawn(process.execPath, [script, 'agent', folder, ...args], {
      detached: true,
      stdio: ['ignore', log, log],
      env: {
        ...Object.fromEntries(environment),
        [launchVariables.token]: token,
        ...(lockFile !== undefined && { [launchVariables.lock]: lockFile }),
      },
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
