import { readFileSync } from 'node:fs';

/**
 * Files in which Linux counts the processes that it has killed for want of memory: in this control group, on this
 * machine.
 */
const counters = [
  { file: '/sys/fs/cgroup/memory.events', of: 'the memory of its container or group is used up' },
  { file: '/sys/fs/cgroup/memory/memory.oom_control', of: 'the memory of its container or group is used up' },
  { file: '/proc/vmstat', of: "the machine's memory, or that of a group of processes, is used up" },
] as const;

/** Finds out, by the system's counters, whether a killed worker was ended for want of memory. */
export class MemoryKills {
  private readonly before: readonly (number | undefined)[];

  constructor(private readonly read: (file: string) => number | undefined = oomKills) {
    this.before = counters.map(({ file }) => read(file));
  }

  /** Text to append to the signal's name, in brackets; empty unless it is SIGKILL. */
  explain(signal: NodeJS.Signals | null): string {
    if (signal !== 'SIGKILL') return '';
    const found = counters.find(
      ({ file }, index) => (this.read(file) ?? 0) > (this.before[index] ?? Infinity),
    );
    return found ? ` (${found.of})` : ' (out of memory?)';
  }
}

function oomKills(file: string): number | undefined {
  try {
    const [, count] = /^oom_kill (\d+)$/m.exec(readFileSync(file, 'utf8')) ?? [];
    return count === undefined ? undefined : Number(count);
  } catch {
    return undefined;
  }
}
