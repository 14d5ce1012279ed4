import { readFileSync } from 'node:fs';

/** Where Linux counts the processes that it has ended for want of memory: in this group of processes, on this machine. */
const counters = [
  { file: '/sys/fs/cgroup/memory.events', of: 'the memory of its container or group is used up' },
  { file: '/sys/fs/cgroup/memory/memory.oom_control', of: 'the memory of its container or group is used up' },
  { file: '/proc/vmstat', of: "the machine's memory, or that of a group of processes, is used up" },
] as const;

/** Says of a killed worker whether the system has run out of memory, as far as its counters tell. */
export class MemoryKills {
  private readonly before: readonly (number | undefined)[];

  constructor(private readonly read: (file: string) => number | undefined = oomKills) {
    this.before = counters.map(({ file }) => read(file));
  }

  /** What to add to the signal's name, in brackets. */
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
