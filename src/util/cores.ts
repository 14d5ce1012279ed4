import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** Folders in which Linux shows processes and control groups. */
const system = { proc: '/proc', cgroup: '/sys/fs/cgroup' };

/**
 * Cores that this process may use: those of its affinity (`taskset`, Slurm, MPI), and no more than its control group
 * has time for (containers, `systemd`), rounded down; at least 1.
 */
export function availableCores(): number {
  return withinQuota(availableParallelism(), cpuQuota('self'));
}

/** Number of cores that another process may use; undefined where the system does not show it. */
export function coresOf(pid: number, { proc, cgroup } = system): number | undefined {
  const allowed = allowedList(pid, proc);
  if (!allowed) return undefined;
  const cores = ranges(allowed).reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return withinQuota(cores, cpuQuota(pid, { proc, cgroup }));
}

/** Numbers of the cores that this process may use; undefined where the system does not show them. */
export function allowedCores({ proc }: { proc: string } = system): number[] | undefined {
  const allowed = allowedList('self', proc);
  return allowed ? ranges(allowed).flatMap(([first, last]) => numbers(first, last)) : undefined;
}

function allowedList(pid: number | 'self', proc: string): string | undefined {
  const status = textOf(join(proc, String(pid), 'status'));
  return status ? /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] : undefined;
}

function withinQuota(cores: number, quota: number): number {
  return Math.max(1, Math.min(cores, Math.floor(quota)));
}

/** Cores' worth of time that the control groups of a process leave it: the least of its group's and all above. */
export function cpuQuota(pid: number | 'self', { proc, cgroup } = system): number {
  let quota = Infinity;
  for (const line of (textOf(join(proc, String(pid), 'cgroup')) ?? '').trim().split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const second = controllers === '';
    if (!second && !controllers.split(',').includes('cpu')) continue;
    const mounts = second ? ['', 'unified'] : [controllers, 'cpu'];
    const parts = path.split('/').filter((part) => part !== '' && part !== '..');
    for (const mount of mounts) {
      for (let depth = 0; depth <= parts.length; depth++) {
        const folder = join(cgroup, mount, ...parts.slice(0, depth));
        quota = Math.min(quota, second ? secondVersion(folder) : firstVersion(folder));
      }
    }
  }
  return quota;
}

/** `cpu.max`: microseconds of time in a period of so many, or `max`. */
function secondVersion(folder: string): number {
  const [time = NaN, period = NaN] = (textOf(join(folder, 'cpu.max')) ?? 'max').trim().split(' ').map(Number);
  return time > 0 && period > 0 ? time / period : Infinity;
}

function firstVersion(folder: string): number {
  const time = Number(textOf(join(folder, 'cpu.cfs_quota_us')));
  const period = Number(textOf(join(folder, 'cpu.cfs_period_us')));
  return time > 0 && period > 0 ? time / period : Infinity;
}

/** First and last core of each range in a list such as `0-3,8`. */
function ranges(list: string): [number, number][] {
  return list.split(',').map((range) => {
    const [first = NaN, last = first] = range.split('-').map(Number);
    return [first, last];
  });
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
