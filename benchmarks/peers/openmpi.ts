import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PodDistError } from '../../src/errors.js';
import type { Peer, PeerOptions, PeerTimes } from './index.js';

const execute = promisify(execFile);
const timeout = 120_000;
const source = fileURLToPath(new URL('./mpi-allreduce.c', import.meta.url));

const transports = {
  shm: ['--mca', 'btl', '^tcp'],
  tcp: ['--mca', 'btl', 'tcp,self', '--mca', 'btl_tcp_if_include', 'lo'],
};

/**
 * Open MPI's MPI_Allreduce in place, over shared memory and over tcp on the loopback, where mpicc and mpirun are
 * installed. Each measurement starts anew: waiting MPI processes would use whole cores.
 */
export async function findOpenMpi({ workers, notify }: PeerOptions): Promise<Peer[]> {
  let version: string;
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-mpi-'));
  const program = join(folder, 'allreduce');
  try {
    const { stdout } = await execute('mpirun', ['--version'], { timeout });
    version = /Open MPI\) ([\d.]+)/.exec(stdout)?.[1] ?? '';
    if (!version) throw new Error('mpirun is not Open MPI');
    await execute('mpicc', ['-O2', '-o', program, source], { timeout });
  } catch {
    notify('Open MPI is not installed here (mpicc and mpirun): not measured');
    rmSync(folder, { recursive: true, force: true });
    return [];
  }
  const root = process.getuid?.() === 0 ? ['--allow-run-as-root'] : [];
  const mpirun = async (flags: string[], args: number[]): Promise<PeerTimes> => {
    const all = [...root, '--oversubscribe', '-n', String(workers), '--mca', 'pml', 'ob1', ...flags];
    const { stdout } = await execute('mpirun', [...all, program, ...args.map(String)], { timeout });
    const errors = /errors (\d+)/.exec(stdout)?.[1];
    if (errors === undefined) throw new PodDistError('BENCHMARK_FAILED', 'mpirun printed no result');
    return { times: [...stdout.matchAll(/^[\d.]+$/gm)].map(Number), errors: Number(errors) };
  };
  let open = Object.keys(transports).length;
  return Object.entries(transports).map(([transport, flags]) => ({
    name: `Open MPI ${transport}`,
    version,
    measure: ({ bytes, iterations, warmups }) => mpirun(flags, [bytes, iterations, warmups]),
    close: async () => {
      if (--open === 0) rmSync(folder, { recursive: true, force: true });
    },
  }));
}
