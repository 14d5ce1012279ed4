import { randomInt } from 'node:crypto';
import { join, resolve } from 'node:path';
import { devicesOf } from '../backend/backends.js';
import { loadConfig } from '../config/load.js';
import { importPlugins } from '../config/plugins.js';
import { firstGuest } from '../job/coordinator/roster.js';
import { splitAddress, type JobEnvironment } from '../job/join/environment.js';
import type { WorkStop } from '../job/launch/stop-worker.js';
import { reachableAt } from '../job/member/succession.js';
import { readJobState } from '../record/job-state.js';
import { holderOf } from '../record/run-lock.js';
import { availableCores } from '../util/cores.js';
import { setVariables } from '../util/environment.js';
import { UserError } from '../util/errors.js';
import { processSpace } from '../util/processes.js';
import { work } from './work.js';

/**
 * Joins an elastic run that is under way, from any host that sees its folder and reaches its coordinator: as a spare, which
 * takes the place of a worker that is lost, or a further one after `resizeRun`. Resolves when the run ends.
 *
 * @throws UserError `RUN_NOT_FOUND` where nobody trains the run, `RUN_BUSY` where it takes no further workers,
 *   `ADDRESS_INVALID` where its coordinator listens to its own host alone
 */
export async function joinRun(folder: string, stop: WorkStop): Promise<void> {
  const holder = holderOf(folder);
  if (!holder) throw new UserError('RUN_NOT_FOUND', `${folder}: no process works on it`);
  const state = readJobState(folder);
  if (state?.address === undefined || state.secret === undefined)
    throw new UserError('RUN_BUSY', `${folder} takes no further workers: launch it with --elastic`);
  const here = state.agent.machine === processSpace();
  const file = join(folder, 'config.yaml');
  await importPlugins({ file });
  const { workers, backend } = loadConfig({ file });
  const threads = availableCores();
  setVariables(await devicesOf(backend).alone(threads));
  const place: JobEnvironment = {
    ...{ starter: 'pod-dist', rank: -1, worldSize: workers, localRank: 0, localWorldSize: 1 },
    ...{ rankVariable: 'RANK', threads, guest: true, ownCoordinator: false },
    ...splitAddress(here ? state.address : reachableAt(state)),
    ...{ token: state.secret, job: state.address },
    worker: firstGuest + randomInt(2 ** 40),
  };
  await work(place, { file, set: [], out: resolve(folder), args: [] }, stop);
}
