import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Systems whose named pipes open for reading and writing at once, without waiting for the other end. */
const systems: readonly string[] = ['linux', 'darwin'];
/**
 * Most ranks of a host that pipes connect: the number of pipes grows with the square, and systems limit their memory.
 */
const mostRanks = 16;
const makeWithinMs = 10_000;

/** A rank's ends of the pipes, file descriptors of its process by peer; 0 for itself. */
export interface PipeEnds {
  incoming: readonly number[];
  outgoing: readonly number[];
}

/** Folder and ranks that name a job's pipes. */
interface PipeNames {
  /** Folder of the pipes, which all ranks share. */
  directory: string;
  rank: number;
  worldSize: number;
}

/** Whether ranks can be connected by pipes: all on one host that has them. */
export function pipesFit(hosts: readonly string[]): boolean {
  const together = hosts.length > 1 && hosts.length <= mostRanks && new Set(hosts).size === 1;
  return together && systems.includes(process.platform);
}

/** Makes the named pipes that other ranks write to this one, for this user alone; false where the system cannot. */
export async function makePipes({ directory, rank, worldSize }: PipeNames): Promise<boolean> {
  const paths = peersOf(rank, worldSize).map((peer) => pathOf(directory, peer, rank));
  try {
    await promisify(execFile)('mkfifo', ['-m', '600', ...paths], { timeout: makeWithinMs });
    return true;
  } catch {
    return false;
  }
}

/** Opens this rank's ends, once every rank has made its pipes. They may be removed from the folder after that. */
export function openPipes({ directory, rank, worldSize }: PipeNames): PipeEnds {
  const open = (from: number, to: number) =>
    from === to ? 0 : openSync(pathOf(directory, from, to), constants.O_RDWR);
  const ranks = Array.from({ length: worldSize }, (_, index) => index);
  return {
    incoming: ranks.map((peer) => open(peer, rank)),
    outgoing: ranks.map((peer) => open(rank, peer)),
  };
}

/**
 * Ends a read that another thread of this process is blocked in, whichever peer it reads from; the thread then checks
 * why.
 */
export function wakeReader({ incoming }: PipeEnds): void {
  for (const end of incoming) if (end !== 0) writeSync(end, Buffer.alloc(1));
}

export function closePipes({ incoming, outgoing }: PipeEnds): void {
  for (const end of [...incoming, ...outgoing]) if (end !== 0) closeSync(end);
}

function peersOf(rank: number, worldSize: number): number[] {
  return Array.from({ length: worldSize }, (_, index) => index).filter((peer) => peer !== rank);
}

function pathOf(directory: string, from: number, to: number): string {
  return join(directory, `${from}-${to}.pipe`);
}
