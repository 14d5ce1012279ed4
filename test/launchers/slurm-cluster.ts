import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../integration/command.js';
import { freePort } from '../integration/free-port.js';
import { findProgram } from './starters.js';

const programs = ['munged', 'slurmctld', 'slurmd', 'srun', 'sbatch', 'scancel', 'scontrol', 'sinfo'];

/** Why no cluster can be started here; undefined where one can. */
export function whyNoSlurm(): string | undefined {
  const missing = programs.filter((name) => !findProgram(name));
  if (missing.length > 0) return `no ${missing.join(', ')}`;
  return process.getuid?.() === 0 ? undefined : 'slurmd needs root';
}

/**
 * Slurm with two nodes on this host, n0 and n1: a controller and two slurmd with an authentication service, files and
 * ports of their own. Whatever Slurm the system has is left alone.
 */
export class SlurmCluster {
  private readonly daemons: ChildProcess[] = [];

  private constructor(
    readonly folder: string,
    /** What makes `srun` and the like talk to this cluster. */
    readonly environment: NodeJS.ProcessEnv,
  ) {}

  /** `variables`: of what is asked of it, and of its jobs. */
  static async start(variables: NodeJS.ProcessEnv): Promise<SlurmCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'pod-slurm-'));
    const cluster = new SlurmCluster(folder, {
      ...variables,
      SLURM_CONF: join(folder, 'slurm.conf'),
    });
    const ports = [await freePort(), await freePort(), await freePort()];
    mkdirSync(join(folder, 'state'));
    writeFileSync(join(folder, 'munge.key'), randomBytes(1024), { mode: 0o600 });
    writeFileSync(join(folder, 'slurm.conf'), configuration(folder, ports));
    const path = (name: string) => join(folder, name);
    cluster.run('munged', [
      '--foreground',
      '--force',
      `--key-file=${path('munge.key')}`,
      `--socket=${path('munge.sock')}`,
      `--pid-file=${path('munged.pid')}`,
      `--log-file=${path('munged.log')}`,
      `--seed-file=${path('munge.seed')}`,
    ]);
    await cluster.until(
      'munged',
      () => execFileSync('munge', ['--socket', path('munge.sock'), '-n']).length > 0,
    );
    cluster.run('slurmctld', ['-D']);
    for (const node of ['n0', 'n1']) cluster.run('slurmd', ['-D', '-N', node]);
    await cluster.until(
      'two idle nodes',
      () => cluster.ask('sinfo', '-h', '-t', 'idle', '-o', '%D').trim() === '2',
    );
    return cluster;
  }

  /** What one of Slurm's commands prints. */
  ask(program: string, ...args: string[]): string {
    const env = { ...process.env, ...this.environment };
    return execFileSync(program, args, { env, encoding: 'utf8', timeout: 120_000 });
  }

  /** Whether processes of Slurm for steps of a job are there. */
  hasSteps(job: string): boolean {
    const isStep = (pid: string) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(`slurmstepd: [${job}.`);
      } catch {
        return false;
      }
    };
    return readdirSync('/proc').some(isStep);
  }

  /** Ends what still runs, and the cluster. */
  async stop(): Promise<void> {
    try {
      this.ask('scancel', '--me');
      await until('the end of all jobs', () => this.ask('squeue', '-h').trim() === '' || undefined, 10_000);
    } catch {
      // The cluster may never have come up.
    }
    for (const daemon of this.daemons.reverse()) {
      if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
      daemon.kill('SIGTERM');
      const ended = await Promise.race([once(daemon, 'exit'), delay(5000)]);
      if (!ended) daemon.kill('SIGKILL');
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }

  private run(name: string, args: readonly string[]): void {
    const env = { ...process.env, ...this.environment };
    const daemon = spawn(findProgram(name) as string, args, { env, stdio: 'ignore' });
    this.daemons.push(daemon);
  }

  private async until(what: string, probe: () => boolean): Promise<void> {
    const succeeds = () => {
      try {
        return probe() || undefined;
      } catch {
        return undefined;
      }
    };
    await until(what, succeeds).catch(async (error: unknown) => {
      await this.stop();
      throw error;
    });
  }
}

function configuration(folder: string, [controller, first, second]: readonly number[]): string {
  const host = hostname().split('.')[0];
  const node = (name: string, port: number) =>
    `NodeName=${name} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${port} CPUs=4 RealMemory=1000 State=UNKNOWN`;
  return `ClusterName=test
SlurmctldHost=${host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=${folder}/munge.sock
SlurmUser=root
SlurmdUser=root
SlurmctldPort=${controller}
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool.%n
SlurmctldPidFile=${folder}/controller.pid
SlurmdPidFile=${folder}/slurmd.%n.pid
SlurmctldLogFile=${folder}/controller.log
SlurmdLogFile=${folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2
KillWait=5
${node('n0', first)}
${node('n1', second)}
PartitionName=test Nodes=n[0-1] Default=YES MaxTime=INFINITE State=UP
`;
}
