import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Met } from '../job/join/join-job.js';
import { splitAddress } from '../job/join/environment.js';
import { isThere, reachableAt } from '../job/member/succession.js';
import { readJobState, type JobState } from '../record/job-state.js';
import { isForTasks } from '../record/job-plan.js';
import { LeaseWatch } from '../record/lease-watch.js';
import { hasEnded, processSpace } from '../util/processes.js';
import { runningClock } from '../util/running-clock.js';

const lookEveryMs = 100;
/** Milliseconds in which the tasks that are left bring up a coordinator, where that is lost. */
const takenOverWithinMs = 15_000;

/**
 * The elastic job of tasks of torchrun, Slurm or MPI that trains in a folder already, for a task that is started again:
 * another one has taken the job over meanwhile, or is about to. `job/job.json` says that a job has begun and has not ended,
 * and its process touches its lock; until one does, this waits for as long as the other tasks may take to start it.
 *
 * @returns undefined where nobody goes on with a job there
 */
export async function jobUnderWay(folder: string): Promise<Met | undefined> {
  const lease = new LeaseWatch(folder);
  const deadline = runningClock.now() + takenOverWithinMs;
  while (runningClock.now() < deadline) {
    const state = readJobState(folder);
    if (!state || !isForTasks(folder) || !mayGoOn(state)) return undefined;
    lease.look();
    if (state.address !== undefined && lease.isTouchedBy(state.agent)) {
      const here = state.agent.machine === processSpace();
      const address = here ? state.address : reachableAt(state);
      if (await isThere(address))
        return { address, token: state.secret as string, local: splitAddress(address).host };
    }
    await delay(lookEveryMs);
  }
  return undefined;
}

/** Whether a job has made a step and has not ended, as far as its record says, and some of it may be left. */
function mayGoOn({ secret, ended, ranks, agent }: JobState): boolean {
  if (secret === undefined || ended || ranks.length === 0) return false;
  const allHere = agent.machine === processSpace() && ranks.every(({ host }) => host === hostname());
  return !allHere || [agent, ...ranks].some(({ pid }) => !hasEnded(pid));
}
