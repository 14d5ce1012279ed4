import { runningClock } from '../util/running-clock.js';
import { locksIn, readHolder, type Holder } from './run-lock.js';

/** Watches whether somebody touches the locks of a folder. */
export class LeaseWatch {
  private last: ReadonlyMap<string, number> | undefined;
  private since = runningClock.now();
  /** Holders that have touched their locks since the first look. */
  private readonly active = new Set<string>();

  constructor(private readonly folder: string) {}

  /** Milliseconds for which no lock has been touched, since the first look. */
  look(): number {
    const { last } = this;
    const now = new Map(locksIn(this.folder).map(({ file, touched }) => [file, touched]));
    this.last = now;
    const changed = [...now].filter(([file, touched]) => last?.get(file) !== touched);
    if (changed.length > 0 || last?.size !== now.size) this.since = runningClock.now();
    for (const [file] of changed) {
      const holder = last?.has(file) ? readHolder(file) : undefined;
      if (holder) this.active.add(nameOf(holder));
    }
    return runningClock.now() - this.since;
  }

  /** Whether this process has touched its lock since the first look. */
  isTouchedBy(process: Pick<Holder, 'machine' | 'pid'>): boolean {
    return this.active.has(nameOf(process));
  }
}

function nameOf({ machine, pid }: Pick<Holder, 'machine' | 'pid'>): string {
  return `${pid} ${machine}`;
}
