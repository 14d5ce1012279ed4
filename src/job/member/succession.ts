import { setTimeout as delay } from 'node:timers/promises';
import { readJobState, type JobState } from '../../record/job-state.js';
import { LeaseWatch } from '../../record/lease-watch.js';
import { leaseMs } from '../../record/run-lock.js';
import { isLoopback, isWildcard, tcpAddress } from '../../transport/addresses.js';
import { messageOf, PodDistError, UserError } from '../../util/errors.js';
import { isRunning, processSpace } from '../../util/processes.js';
import { runningClock } from '../../util/running-clock.js';
import { findRoute, takes } from '../join/meet.js';
import { startAgent } from '../launch/agent-process.js';

/** Where a job goes on after the loss of its coordinator. */
export interface Succession {
  /** Run folder, where this host sees it. */
  folder: string | undefined;
  /** Term of the coordinator, as the folder has it: the next one's is higher. */
  term: number;
  /** Addresses of coordinators to come, in the order in which they are tried where the folder does not tell. */
  addresses: readonly string[];
}

/** A worker that has lost the coordinator. */
export interface Orphan extends Succession {
  /** The job's secret. */
  token: string;
  /** Place in the order in which workers start another process: its rank, or more. */
  order: number;
  /** Whether it has started one already, which waits for its time (`startAhead`). */
  ahead?: boolean;
  /** This host's address, as other hosts reach it. */
  host?: string;
  /** Whether the coordinator's process may still be there, without a word. */
  silent: boolean;
  /** Has watched the run folder since it fell silent. */
  lease?: LeaseWatch;
  /** When the coordinator was last heard of (`runningClock`). */
  since: number;
  /** Ends the search. */
  signal: AbortSignal;
}

const lookEveryMs = 100;
/** Milliseconds after which the next worker in order starts a process, and after which each does so once more. */
const nextInOrderMs = 400;
const againMs = 15_000;
/** Milliseconds that a host may take to answer. */
const answerWithinMs = 1000;
/** Milliseconds that a worker lives without a coordinator. */
const liveWithoutMs = 60_000;

/** The run folder of the job whose secret this is: the first of these that this host sees; undefined where it sees none. */
export function folderOfJob(folders: readonly (string | undefined)[], token: string): string | undefined {
  return folders.find((folder) => folder !== undefined && readJobState(folder)?.secret === token);
}

/** Where a job goes on that this coordinator leads now, by these folders and addresses. */
export function successionOf(
  folders: readonly (string | undefined)[],
  addresses: readonly string[],
  token: string,
): Succession {
  const folder = folderOfJob(folders, token);
  return { folder, addresses, term: (folder !== undefined && readJobState(folder)?.term) || 0 };
}

/**
 * Finds the process that takes over the job whose coordinator is lost, or starts it.
 *
 * The run folder decides: whoever runs the coordinator touches its lock there each second. A worker starts a process on its
 * own host once the coordinator's process has ended, where it can see that, or has not touched the lock for three seconds;
 * the ranks do so one after another. Of several that are started one gets the folder, and the others end. A coordinator that
 * wakes up has lost the folder, and ends. So at most one writes to it, whatever part of the network is lost: a worker that
 * does not reach a coordinator which lives waits for it.
 *
 * A worker that does not see the folder starts nothing. It looks for the next coordinator at the addresses of the other
 * ranks, at the port that the job has had.
 *
 * @returns the address of its coordinator
 * @throws PodDistError `COORDINATOR_LOST` where none is found within a minute
 */
export async function findSuccessor(orphan: Orphan): Promise<string> {
  const { folder, addresses, token, since, signal } = orphan;
  const search = folder === undefined ? undefined : new FolderSearch(folder, orphan);
  while (runningClock.now() - since < liveWithoutMs) {
    const found = search ? await search.look() : await firstThatTakes(addresses, token);
    if (found !== undefined) return found;
    await delay(lookEveryMs, undefined, { signal });
  }
  throw lost(
    `no process that can be reached has taken the job over within ${liveWithoutMs / 1000} s: if it goes on elsewhere, this host is cut off from it`,
  );
}

/** The search by way of the run folder. */
class FolderSearch {
  private readonly lease: LeaseWatch;
  private readonly before: number;
  private readonly lostAt = Date.now();
  /** When this worker's turn to start a process comes; undefined while the coordinator may live. */
  private turn: number | undefined;
  private started: boolean;

  constructor(
    private readonly folder: string,
    private readonly orphan: Orphan,
  ) {
    this.lease = orphan.lease ?? new LeaseWatch(folder);
    this.before = orphan.term;
    this.started = orphan.ahead ?? false;
  }

  /** The coordinator's address, once there is one that answers. */
  async look(): Promise<string | undefined> {
    const { silent } = this.orphan;
    const now = runningClock.now();
    const expired = this.lease.look() >= leaseMs;
    const state = readJobState(this.folder);
    if (state?.ended) throw lost(`the job has ended: ${state.ended.message}`);
    if (!state) return undefined;
    if (state.secret === undefined) throw lost('the job has ended');
    if (state.secret !== this.orphan.token) throw lost("the run folder is another job's now");
    const here = state.agent.machine === processSpace();
    const ended = here ? !isRunning(state.agent) : expired;
    const may = state.term > this.before || !silent || this.lease.isTouchedBy(state.agent);
    if (state.address !== undefined && !ended && may && (!here || !expired)) {
      const address = here ? state.address : reachableAt(state);
      if (await isThere(address)) return address;
    }
    if (!ended && !(silent && expired)) this.turn = undefined;
    else if (now >= (this.turn ??= now + this.patienceMs(state))) {
      this.start(state.term);
      this.turn = now + againMs;
    }
    return undefined;
  }

  /** Milliseconds until this worker's turn. */
  private patienceMs(state: JobState): number {
    const { started } = this;
    this.started = false;
    return started ? againMs : orderAmong(state, this.orphan.order) * nextInOrderMs;
  }

  /** Starts a process that takes the job over; where that cannot be, another worker may. */
  private start(term: number): void {
    const { token, host } = this.orphan;
    try {
      startAgent({ folder: this.folder, token, lostAt: this.lostAt, depose: term, host });
    } catch (error) {
      process.stderr.write(`${messageOf(error)}\n`);
    }
  }
}

/**
 * Starts the process that takes over a job whose coordinator, on another host, has neither said anything nor touched its
 * lock for a while, ahead of its time, so that it has read its programs by then. Where the coordinator touches the lock
 * after all, that process ends. Only the first worker in order does so.
 *
 * @param inMs milliseconds until the job may be taken over
 */
export function startAhead(
  { folder, token, order, host }: Pick<Orphan, 'folder' | 'token' | 'order' | 'host'>,
  inMs: number,
): boolean {
  const state = folder === undefined ? undefined : readJobState(folder);
  if (folder === undefined || !state || state.ended || state.agent.machine === processSpace()) return false;
  if (orderAmong(state, order) > 0) return false;
  try {
    const lostAt = Date.now();
    startAgent({ folder, token, lostAt, depose: state.term, notBefore: lostAt + inMs, host });
    return true;
  } catch {
    return false;
  }
}

/** Place among the workers that may start another process: those of the coordinator's host are lost with it. */
function orderAmong({ agent, ranks }: JobState, order: number): number {
  const here = agent.machine === processSpace();
  return here ? order : ranks.filter(({ rank, host }) => rank < order && host !== agent.host).length;
}

/** The first address at which a coordinator takes the job's secret. */
async function firstThatTakes(addresses: readonly string[], token: string): Promise<string | undefined> {
  for (const address of addresses)
    if ((await isThere(address)) && (await takes(address, token))) return address;
  return undefined;
}

/** Whether something listens at an address. */
export async function isThere(address: string): Promise<boolean> {
  const { hostname, port } = new URL(address);
  const route = findRoute(hostname.replace(/^\[|\]$/g, ''), Number(port)).then(
    () => true,
    () => false,
  );
  return Promise.race([route, delay(answerWithinMs, false, { ref: false })]);
}

/**
 * Address of a job's coordinator as other hosts than its own reach it.
 *
 * @throws UserError `ADDRESS_INVALID` where it listens to its own host alone
 */
export function reachableAt({ agent, address = '', listensOn = '', reachableAs }: JobState): string {
  const port = Number(address.split(':').pop());
  if (!isWildcard(listensOn) && isLoopback(listensOn))
    throw new UserError(
      'ADDRESS_INVALID',
      `the job's coordinator listens to its own host ${agent.host} alone: launch the run with --set distributed.host=0.0.0.0, or an address of that host`,
    );
  return tcpAddress(isWildcard(listensOn) ? (reachableAs ?? agent.host) : listensOn, port);
}

function lost(reason: string): PodDistError {
  return new PodDistError('COORDINATOR_LOST', `the coordinator is lost: ${reason}`);
}
