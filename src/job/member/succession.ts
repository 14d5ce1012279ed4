import { setTimeout as delay } from 'node:timers/promises';
import { readJobState, type JobState } from '../../record/job-state.js';
import { isLoopback, isWildcard, tcpAddress } from '../../transport/addresses.js';
import { messageOf, PodDistError, UserError } from '../../util/errors.js';
import { isRunning, processSpace } from '../../util/processes.js';
import { runningClock } from '../../util/running-clock.js';
import { startAgent } from '../launch/agent-process.js';

/** A worker that has lost the coordinator. */
export interface Orphan {
  /** Run folder. */
  folder: string;
  /** The job's secret. */
  token: string;
  /** Place in the order in which workers start another process: its rank, or more. */
  order: number;
  /** Whether the coordinator's process may still be there, without a word. */
  silent: boolean;
  /** Ends the search. */
  signal: AbortSignal;
}

const lookEveryMs = 100;
/** Milliseconds after which the next worker in order starts a process, and after which each does so once more. */
const nextInOrderMs = 400;
const againMs = 15_000;
/** Milliseconds after which a worker of another host looks for the same coordinator once more. */
const tryAgainMs = 2000;
/** Milliseconds that a worker lives without a coordinator. */
const leaseMs = 60_000;

/**
 * Finds the process that takes over the job whose coordinator is lost, or starts it. Of several that are started one gets
 * the run folder, and the others end. A coordinator that is there but silent loses the folder to it.
 *
 * @returns the address of its coordinator
 * @throws PodDistError `COORDINATOR_LOST` where none is found within a minute
 */
export async function findSuccessor(orphan: Orphan): Promise<string> {
  const { folder, order, silent, signal } = orphan;
  const began = runningClock.now();
  const lostAt = Date.now();
  const before = readJobState(folder)?.term ?? 0;
  let start = began + order * nextInOrderMs;
  while (runningClock.now() - began < leaseMs) {
    const state = readJobState(folder);
    if (state?.ended) throw lost(`the job has ended: ${state.ended.message}`);
    const elsewhere = state !== undefined && state.agent.machine !== processSpace();
    if (state?.address !== undefined && !elsewhere && serves(state, silent ? before + 1 : 0))
      return state.address;
    if (state && elsewhere && (state.term > before || runningClock.now() - began > tryAgainMs))
      return reachableAt(state);
    if (!elsewhere && runningClock.now() >= start) {
      startSuccessor(orphan, lostAt);
      start = runningClock.now() + againMs;
    }
    await delay(lookEveryMs, undefined, { signal });
  }
  throw lost(`no other process has taken the job over within ${leaseMs / 1000} s`);
}

/** Whether the process of this state runs, and is of this term or a later one. */
function serves({ agent, term }: JobState, leastTerm: number): boolean {
  return term >= leastTerm && isRunning(agent);
}

/**
 * Address of a job's coordinator as other hosts than its own reach it.
 *
 * @throws UserError `ADDRESS_INVALID` where it listens to its own host alone
 */
export function reachableAt({ agent, address = '', listensOn = '' }: JobState): string {
  const port = Number(address.split(':').pop());
  if (!isWildcard(listensOn) && isLoopback(listensOn))
    throw new UserError(
      'ADDRESS_INVALID',
      `the job's coordinator listens to its own host ${agent.host} alone: launch the run with --set distributed.host=0.0.0.0, or an address of that host`,
    );
  return tcpAddress(isWildcard(listensOn) ? agent.host : listensOn, port);
}

/** Starts a process that takes the job over; where that cannot be, as without a run folder, another worker may. */
function startSuccessor({ folder, token, silent }: Orphan, lostAt: number): void {
  try {
    startAgent({ folder, token, lostAt, depose: silent });
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
  }
}

function lost(reason: string): PodDistError {
  return new PodDistError('COORDINATOR_LOST', `the coordinator is lost: ${reason}`);
}
