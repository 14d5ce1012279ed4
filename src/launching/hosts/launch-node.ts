import { hostname } from 'node:os';
import { devicesOf } from '../../backend/backends.js';
import { readGpus } from '../../backend/devices/devices.js';
import { loadConfig, type LoadOptions } from '../../config/load.js';
import { importPlugins } from '../../config/plugins.js';
import { followSignals, followSuspension } from '../../util/signals.js';
import { LocalWorkers } from './local-workers.js';
import type { NodePlace } from './node-place.js';
import type { PlacedEnd } from './worker-ends.js';

/** The part of a job that is this host's; whoever starts one command a host starts the others. */
export interface NodeRequest extends Pick<LoadOptions, 'file' | 'set' | 'flags'> {
  place: NodePlace;
  /** GPUs, one a worker, in place of the number of workers: a number, or `all`. */
  gpus?: string;
  /** Arguments of `pod-dist worker`. */
  args: readonly string[];
  output(rank: number, file: 1 | 2, text: string): void;
}

/**
 * Trains with the workers of this host, beside those of the other hosts of the job, which have as many each: ranks follow
 * the numbers of the hosts. Signals go to all workers here; they end with this process.
 *
 * @returns the end of every worker here, and whether the job is elastic
 */
export async function launchNode(request: NodeRequest): Promise<{ ends: PlacedEnd[]; elastic: boolean }> {
  const { place, file, set, gpus, args, output } = request;
  const flags = [...(request.flags ?? [])];
  const given = { file, set, flags };
  const config = loadConfig({ ...given, flags: [...flags, ...(await importPlugins(given))] });
  const wanted = readGpus(gpus);
  const all = wanted === 'all' ? Math.max(1, await devicesOf(config.backend).countGpus()) : wanted;
  const count = all ?? place.workers;
  const { nodes, leastNodes, nodeRank, host, port } = place;
  const worldSize = nodes * count;
  const elastic = config.elastic.enabled || leastNodes !== undefined;
  const range = leastNodes === undefined ? [] : rangeOf(leastNodes * count, worldSize);
  const where = { first: nodeRank * count, count, worldSize, host, port };
  const workers = new LocalWorkers({ ...where, args: [...args, ...range], variables: {}, elastic }, output);
  const following = followSignals((name) => workers.signal(name));
  const suspending = followSuspension((paused) => workers.signal(paused ? 'SIGSTOP' : 'SIGCONT'));
  try {
    const ends = await workers.ended();
    return { ends: ends.map((end) => ({ ...end, host: hostname() })), elastic };
  } finally {
    following.stop();
    suspending.stop();
  }
}

/** Arguments of a worker of an elastic job with so many workers. */
function rangeOf(least: number, most: number): string[] {
  const settings = [`workers=${most}`, `elastic.least=${least}`, 'elastic.enabled=true'];
  return settings.flatMap((setting) => ['--set', setting]);
}
