import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { launchVariables } from '../../src/job/join/environment.js';

/** A program that starts workers. */
export interface Starter {
  name: string;
  /** The command that starts so many workers of what follows; undefined where it is not installed. */
  within?(workers: number): string[];
}

/** The path of a program, if it is installed. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
}

function openMpi(): Starter {
  const program = ['mpirun.openmpi', 'mpirun'].map(findProgram).find((found) => found && isOpenMpi(found));
  const start = (workers: number) => [
    program as string,
    '--allow-run-as-root',
    '--oversubscribe',
    '-n',
    String(workers),
  ];
  return { name: 'Open MPI', within: program ? start : undefined };
}

function isOpenMpi(program: string): boolean {
  return execFileSync(program, ['--version'], { encoding: 'utf8' }).includes('Open MPI');
}

function mpich(): Starter {
  const program = findProgram('mpiexec.hydra');
  const start = (workers: number) => [program as string, '-n', String(workers)];
  return { name: 'MPICH', within: program ? start : undefined };
}

function torchrun(): Starter {
  const program = findProgram('torchrun');
  const start = (workers: number) => [
    program as string,
    '--standalone',
    '--no-python',
    '--nproc-per-node',
    String(workers),
  ];
  return { name: 'torchrun', within: program ? start : undefined };
}

export const starters: Starter[] = [openMpi(), mpich(), torchrun()];

const rankNames = ['RANK', 'OMPI_COMM_WORLD_RANK', 'PMI_RANK', 'SLURM_PROCID'];

/**
 * Process ids of the workers that write to a run folder, by rank; `--out` has named the folder. With `kept`, of those alone
 * that another process keeps the place of.
 */
export function workersOf(folder: string, { kept = false } = {}): Map<number, number> {
  const found = new Map<number, number>();
  for (const pid of readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)) {
    const [program = '', ...args] = read(pid, 'cmdline');
    if (
      basename(program) !== basename(process.execPath) ||
      !args.includes('worker') ||
      !args.includes(folder)
    )
      continue;
    const environment = read(pid, 'environ');
    if (kept && !environment.some((line) => line.startsWith(`${launchVariables.worker}=`))) continue;
    const values = rankNames.map((name) => environment.find((line) => line.startsWith(`${name}=`)));
    const rank = values.find((value) => value !== undefined)?.split('=')[1];
    if (rank !== undefined) found.set(Number(rank), pid);
  }
  return found;
}

function read(pid: number, file: 'cmdline' | 'environ'): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
