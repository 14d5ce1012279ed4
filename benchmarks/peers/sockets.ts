import type { Peer, PeerOptions } from './index.js';
import { execute, Program, readTimes, timeout } from './program.js';

/** The ring of two ranks in C over Unix sockets: what this machine's sockets allow. Two workers only. */
export async function findSockets({ workers, notify }: PeerOptions): Promise<Peer[]> {
  if (workers !== 2) return [];
  let program: Program;
  try {
    program = await Program.compile('cc', './socket-allreduce.c', '-pthread');
  } catch {
    notify('no C compiler here: sockets in C not measured');
    return [];
  }
  return [
    {
      name: 'sockets in C',
      version: 'cc -O3',
      measure: async ({ bytes, iterations, warmups }) => {
        const { stdout } = await execute(program.path, [bytes, iterations, warmups].map(String), { timeout });
        return readTimes(stdout);
      },
      close: async () => program.remove(),
    },
  ];
}
