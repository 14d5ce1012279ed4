import { readFileSync } from 'node:fs';
import { availableCores, coresOf } from '../../util/cores.js';
import type { JobEnvironment } from './environment.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Threads that a worker should compute with: the cores of its own, and no more than its share of those that whoever
 * started it has on this host.
 *
 * A worker bound to cores of its own (Open MPI, Slurm) takes those; workers that share the cores of torchrun, of a
 * container or of a NUMA node divide them. What the starter may use is what its process may use, or what Slurm says
 * that it has given: `SLURM_CPUS_PER_TASK`, else the share of `SLURM_CPUS_ON_NODE`.
 */
export function workerThreads(place: JobEnvironment, environment: Environment = process.env): number {
  if (place.threads !== undefined) return place.threads;
  const own = availableCores();
  const shared = sharedCores(place, environment) ?? own;
  return Math.max(1, Math.min(own, Math.floor(shared / place.localWorldSize)));
}

function sharedCores({ starter, localWorldSize, rankVariable }: JobEnvironment, environment: Environment) {
  if (starter === 'Slurm') {
    const perTask = Number(environment.SLURM_CPUS_PER_TASK);
    if (perTask > 0) return perTask * localWorldSize;
    const onNode = Number(environment.SLURM_CPUS_ON_NODE);
    return onNode > 0 ? onNode : undefined;
  }
  const pid = starterOf(process.ppid, rankVariable);
  return pid === undefined ? undefined : coresOf(pid);
}

/** The nearest ancestor that has no rank: mpirun, torchrun or the launcher, above what may stand between, as npx. */
export function starterOf(pid: number, rankVariable: string): number | undefined {
  try {
    while (pid > 1) {
      const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      if (!variables.some((variable) => variable.startsWith(`${rankVariable}=`))) return pid;
      pid = Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    }
  } catch {
    return undefined;
  }
  return undefined;
}
