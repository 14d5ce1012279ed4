import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { availableCores } from '../../../src/util/cores.js';
import { needs } from '../../needs.js';

const script = fileURLToPath(new URL('../../../dist/test/launcher/fixtures/threads.js', import.meta.url));
const cores = availableCores();
const share = (count: number, workers: number) => Math.max(1, Math.floor(count / workers));
const meeting = { MASTER_ADDR: '127.0.0.1', MASTER_PORT: '29500' };

/** Threads of a worker that a shell without variables starts with these variables. */
function threads(variables: Record<string, string>, ...prefix: string[]): number {
  const { PATH } = process.env;
  const assignments = Object.entries({ ...meeting, ...variables }).map(([name, value]) => `${name}=${value}`);
  const worker = ['env', ...assignments, ...prefix, process.execPath, script];
  const shell = ['-c', '"$@"; exit $?', 'sh', ...worker];
  return Number(execFileSync('sh', shell, { env: { PATH }, encoding: 'utf8', timeout: 30_000 }));
}

const torchrun = (local: number) => ({
  RANK: '0',
  LOCAL_RANK: '0',
  WORLD_SIZE: String(2 * local),
  LOCAL_WORLD_SIZE: String(local),
});

describe('threads of a worker', needs('Linux', process.platform === 'linux'), () => {
  it.each([1, 2, 3])('are its share of the cores with %i workers of torchrun on this host', (local) => {
    expect(threads(torchrun(local))).toBe(share(cores, local));
  });

  it('are shared by all workers if no variable gives the number of local workers', () => {
    expect(threads({ RANK: '0', WORLD_SIZE: String(cores) })).toBe(1);
    expect(threads({ RANK: '0', WORLD_SIZE: '1' })).toBe(cores);
  });

  const openMpi = (local: number) => ({
    OMPI_COMM_WORLD_RANK: '0',
    OMPI_COMM_WORLD_SIZE: '8',
    OMPI_COMM_WORLD_LOCAL_RANK: '0',
    OMPI_COMM_WORLD_LOCAL_SIZE: String(local),
  });
  it("are shared by the host's workers under Open MPI and MPICH", () => {
    expect(threads(openMpi(2))).toBe(share(cores, 2));
    const mpich = { PMI_RANK: '1', PMI_SIZE: '4', MPI_LOCALRANKID: '1', MPI_LOCALNRANKS: '2' };
    expect(threads(mpich)).toBe(share(cores, 2));
  });

  it(
    'are as many as the cores that the worker is bound to',
    needs('taskset', existsSync('/usr/bin/taskset')),
    () => {
      expect(threads(torchrun(1), 'taskset', '-c', '0')).toBe(1);
    },
  );

  it("are SLURM_CPUS_PER_TASK, else the task's share of the node", () => {
    const slurm = { SLURM_PROCID: '5', SLURM_NTASKS: '7', SLURM_LOCALID: '0', SLURM_JOB_ID: '1' };
    const nodes = { SLURM_NNODES: '3', SLURM_JOB_NODELIST: 'n[1-3]' };
    const spread = { ...slurm, ...nodes, SLURM_TASKS_PER_NODE: '3(x2),1' };
    const onNode = { SLURM_CPUS_ON_NODE: '2' };
    expect(threads({ ...spread, SLURM_NODEID: '0', SLURM_CPUS_PER_TASK: '1' })).toBe(1);
    expect(threads({ ...spread, SLURM_NODEID: '2', ...onNode })).toBe(Math.min(cores, 2));
    expect(threads({ ...spread, SLURM_NODEID: '1', ...onNode })).toBe(1);
    expect(threads({ ...spread, SLURM_NODEID: '1', SLURM_CPUS_PER_TASK: '1000' })).toBe(cores);
  });
});
