import { findGloo } from './gloo.js';
import { findOpenMpi } from './openmpi.js';
import { findSockets } from './sockets.js';
import type { Peer, PeerOptions } from './peer.js';

/**
 * The peers that are installed here: Open MPI over shared memory and over tcp, gloo through PyTorch, and for two
 * workers the same ring in C over Unix sockets, as a limit.
 */
export async function findPeers(options: PeerOptions): Promise<Peer[]> {
  return [...(await findOpenMpi(options)), ...(await findGloo(options)), ...(await findSockets(options))];
}
