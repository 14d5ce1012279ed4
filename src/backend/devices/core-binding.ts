import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allowedCores } from '../../util/cores.js';

const topology = '/sys/devices/system/cpu';
const probeWithinMs = 5_000;

/**
 * Commands that start each of so many workers on its share of the cores (Linux, `taskset`); undefined where they cannot
 * be held to any, or some of more workers than cores would have less of one than others.
 *
 * A worker's threads otherwise move to whatever core is free for a moment, and its compute thread finds the caches and
 * the core of another. Every core belongs to one worker, also where the number of workers does not divide theirs; of more
 * workers than cores, equally many share each.
 */
export function bindingCommands(workers: number): string[][] | undefined {
  const cores = allowedCores();
  if (workers < 2 || !cores || (workers > cores.length && workers % cores.length > 0)) return undefined;
  const command = (share: readonly number[]) => ['taskset', '-c', share.join(',')];
  const [program, ...args] = command(cores);
  const probe = spawnSync(program, [...args, 'true'], { stdio: 'ignore', timeout: probeWithinMs });
  return probe.status === 0 ? divideCores(cores, workers).map(command) : undefined;
}

/**
 * Divides cores into shares whose sizes differ by at most one; more workers than cores get one core each. Cores that lie
 * together, hardware threads of a core and cores of a socket, stay together as far as that goes.
 */
export function divideCores(cores: readonly number[], workers: number, folder = topology): number[][] {
  const placed = cores.map((core) => ({ core, place: placeOf(core, folder) }));
  placed.sort((a, b) => a.place.socket - b.place.socket || a.place.core - b.place.core || a.core - b.core);
  return Array.from({ length: workers }, (_, worker) => {
    const [first, end] = [worker, worker + 1].map((share) => Math.floor((share * cores.length) / workers));
    return placed.slice(first, Math.max(end, first + 1)).map(({ core }) => core);
  });
}

function placeOf(core: number, folder: string): { socket: number; core: number } {
  const read = (name: string) => {
    try {
      return Number(readFileSync(join(folder, `cpu${core}`, 'topology', name), 'utf8'));
    } catch {
      return 0;
    }
  };
  return { socket: read('physical_package_id'), core: read('core_id') };
}
