import type { ArgumentsCamelCase } from 'yargs';
import { launchVariables } from '../../src/job/join/environment.js';
import { isNeedless, runAgent } from '../../src/launching/agent/run-agent.js';

export interface AgentArguments {
  run: string;
  lostAt?: number;
  depose?: number;
  notBefore?: number;
  host?: string;
}

export async function agent({
  run: folder,
  lostAt,
  depose,
  notBefore,
  host,
}: ArgumentsCamelCase<AgentArguments>): Promise<void> {
  const token = process.env[launchVariables.token] ?? '';
  const lockFile = process.env[launchVariables.lock];
  // Workers get their own from this process.
  delete process.env[launchVariables.token];
  delete process.env[launchVariables.lock];
  try {
    await runAgent({ folder, token, lockFile, lostAt, depose, notBefore, host });
  } catch (error) {
    if (!isNeedless(error)) throw error;
  }
}
