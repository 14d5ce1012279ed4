import type { Peer, PeerOptions, PeerTimes } from './peer.js';
import { execute, Program, readTimes, timeout } from './program.js';

const transports = {
  shm: ['--mca', 'btl', '^tcp'],
  tcp: ['--mca', 'btl', 'tcp,self', '--mca', 'btl_tcp_if_include', 'lo'],
};

/**
 * Open MPI's MPI_Allreduce in place, over shared memory and over tcp on the loopback, where mpicc and mpirun are
 * installed. Each measurement starts anew: waiting MPI processes would use whole cores.
 */
export async function findOpenMpi({ workers, notify }: PeerOptions): Promise<Peer[]> {
  const found = (await findAs('.openmpi')) ?? (await findAs(''));
  if (!found) {
    notify('Open MPI is not installed here (mpicc and mpirun): not measured');
    return [];
  }
  const { command, version, program } = found;
  const root = process.getuid?.() === 0 ? ['--allow-run-as-root'] : [];
  const mpirun = async (flags: string[], args: number[]): Promise<PeerTimes> => {
    const all = [...root, '--oversubscribe', '-n', String(workers), '--mca', 'pml', 'ob1', ...flags];
    const { stdout } = await execute(command, [...all, program.path, ...args.map(String)], { timeout });
    return readTimes(stdout);
  };
  let open = Object.keys(transports).length;
  return Object.entries(transports).map(([transport, flags]) => ({
    name: `Open MPI ${transport}`,
    version,
    measure: ({ bytes, iterations, warmups }) => mpirun(flags, [bytes, iterations, warmups]),
    close: async () => {
      if (--open === 0) program.remove();
    },
  }));
}

/** Finds Open MPI by the names of its commands: Debian's own end in `.openmpi`, beside those of another MPI. */
async function findAs(ending: string) {
  const command = `mpirun${ending}`;
  try {
    const { stdout } = await execute(command, ['--version'], { timeout });
    const [, version] = /Open MPI\) ([\d.]+)/.exec(stdout) ?? [];
    if (version === undefined) return undefined;
    return { command, version, program: await Program.compile(`mpicc${ending}`, './mpi-allreduce.c') };
  } catch {
    return undefined;
  }
}
