import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Processes that tests keep for later tests. They end with the test process, to which they have a channel. */
export class WarmProcesses {
  private readonly idle: ChildProcess[] = [];

  /** Keeps at most `most` processes. */
  constructor(
    private readonly most: number,
    private readonly start: () => ChildProcess,
  ) {}

  take(): ChildProcess {
    for (let child = this.idle.pop(); child; child = this.idle.pop()) if (runs(child)) return child;
    return this.start();
  }

  /** Keeps running processes for other tests, or kills them if they are `spoilt` or too many. */
  async giveBack(processes: readonly ChildProcess[], spoilt: boolean): Promise<void> {
    for (const child of processes) {
      if (!runs(child)) continue;
      if (!spoilt && this.idle.length < this.most) {
        this.idle.push(child);
        continue;
      }
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}

function runs({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}
