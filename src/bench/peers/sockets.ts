import type { Peer, PeerOptions } from './peer.js';
import { execute, Program, readTimes, timeout } from './program.js';

/** The ring of two ranks in C over Unix sockets and over TCP: what this machine's sockets allow. Two workers only. */
export async function findSockets({ workers, notify }: PeerOptions): Promise<Peer[]> {
  if (workers !== 2) return [];
  let program: Program;
  try {
    program = await Program.compile('cc', './socket-allreduce.c', '-pthread');
  } catch {
    notify('no C compiler here: sockets in C not measured');
    return [];
  }
  const peer = (name: string, kind: 'unix' | 'tcp'): Peer => ({
    name,
    version: 'cc -O3',
    measure: async ({ bytes, iterations, warmups }) => {
      const args = [...[bytes, iterations, warmups].map(String), kind];
      const { stdout } = await execute(program.path, args, { timeout });
      return readTimes(stdout);
    },
    close: async () => program.remove(),
  });
  return [peer('sockets in C', 'unix'), peer('tcp in C', 'tcp')];
}
